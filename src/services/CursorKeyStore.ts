import { Context, type Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"

/** The secret that a platform seals its cursors with: one for all its processes, made with its tables (P-10). */
export class CursorKeyStore extends Context.Service<
  CursorKeyStore,
  {
    /** 32 bytes, MUST be the same each time and random for each platform. */
    readonly key: Effect.Effect<Uint8Array, StoreError>
  }
>()("effect-governance/services/CursorKeyStore") {}
