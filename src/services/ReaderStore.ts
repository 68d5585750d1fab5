import { Context, type Effect } from "effect"
import type { ChainId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { ChainPosition } from "./AuditStore.ts"

/** A name such as `bridge`, 1 to 128 characters: what one consumer of the log is called in all processes. */
export type ReaderName = string

/** Whether this process reads. `begun` is false until the reader's present has been written down, once in its life. */
export type Standing =
  | { readonly _tag: "Leading"; readonly epoch: number; readonly begun: boolean }
  | { readonly _tag: "Following" }

/** How far each reader of the audit log has read, and which process reads for it: one at a time, by the database's clock. */
export class ReaderStore extends Context.Service<
  ReaderStore,
  {
    /** Takes the lease when it is free or already `holder`'s, and renews it. The epoch MUST change with the holder. */
    readonly lead: (reader: ReaderName, holder: string, leaseMs: number) => Effect.Effect<Standing, StoreError>
    /** Frees the lease of that epoch; does nothing when it is another's. */
    readonly resign: (reader: ReaderName, epoch: number) => Effect.Effect<void, StoreError>
    /** In order of chain, page by page. */
    readonly cursors: (
      reader: ReaderName,
      after: ChainId | null,
      limit: number
    ) => Effect.Effect<ReadonlyArray<ChainPosition>, StoreError>
    /**
     * Moves cursors forward, never back, and with `begun` ends the beginning, all in one step. False, and nothing is moved,
     * when the epoch is over. The chains MUST be distinct.
     */
    readonly advance: (
      reader: ReaderName,
      epoch: number,
      positions: ReadonlyArray<ChainPosition>,
      begun?: boolean
    ) => Effect.Effect<boolean, StoreError>
  }
>()("effect-governance/services/ReaderStore") {}
