import { Context, type Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import type { Email } from "../schema/Workspace.ts"

/** Links and sessions by their digests: whoever reads them cannot sign in with them (PLT-01, OQ-28). */
export class SignInStore extends Context.Service<
  SignInStore,
  {
    /** Keeps a link for somebody who is a member of any workspace; false, and nothing kept, for everybody else. */
    readonly issue: (link: {
      readonly digest: string
      readonly email: Email
      readonly expiresMs: number
      readonly nowMs: number
    }) => Effect.Effect<boolean, StoreError>
    /** Uses a link up and begins a session, in one step: of many who try at once, one MUST succeed. */
    readonly redeem: (
      digest: string,
      session: { readonly digest: string; readonly expiresMs: number },
      nowMs: number
    ) => Effect.Effect<Email | null, StoreError>
    readonly session: (digest: string, nowMs: number) => Effect.Effect<Email | null, StoreError>
    readonly end: (digest: string) => Effect.Effect<boolean, StoreError>
    /** How many were ended. */
    readonly endAll: (email: Email) => Effect.Effect<number, StoreError>
  }
>()("effect-governance/services/SignInStore") {}
