import { Context, type Effect } from "effect"
import type { ChainId, EventId } from "../schema/Ids.ts"
import type { HoldScope, LegalHold } from "../schema/LegalHold.ts"
import type { Segment } from "../schema/Retention.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** Rows of a chain that are all older than a moment: always a beginning of what the chain still has. */
export interface AgedRows {
  readonly chain: ChainId
  readonly fromSeq: number
  readonly toSeq: number
}

export interface SealedSegment extends Segment {
  /** The id of the row in chain `operator`. */
  readonly seal: EventId
}

/** What came of pruning a segment. Whatever is not `Pruned` changed nothing. */
export type PruneResult =
  | { readonly _tag: "Pruned"; readonly rows: number }
  | { readonly _tag: "Held" | "TooYoung" | "Mismatch" | "NotOwner" }

/** Seals, prunes and holds. What changes stands inside `StoreTransaction.run`, together with its audit row. */
export class RetentionStore extends Context.Service<
  RetentionStore,
  {
    /** Chains with rows that were written and recorded before the moment, in order of chain, page by page; never `operator`. */
    readonly aged: (
      beforeMs: number,
      after: ChainId | null,
      limit: number
    ) => Effect.Effect<ReadonlyArray<AgedRows>, StoreError>
    /** The seal of a segment that is not pruned yet, if the chain has one. */
    readonly unpruned: (chain: ChainId) => Effect.Effect<SealedSegment | null, StoreError>
    /** Notes a seal. `Behind`: the segment does not continue the last one, because somebody else was faster. */
    readonly seal: (segment: SealedSegment) => Effect.Effect<"Sealed" | "Behind" | "NotOwner", StoreError>
    /** MUST delete exactly the rows that were sealed, unheld and older than `minAgeMs` by the time of recording, or nothing. */
    readonly prune: (segment: SealedSegment, minAgeMs: number) => Effect.Effect<PruneResult, StoreError>

    readonly holds: Effect.Effect<ReadonlyArray<LegalHold>, StoreError>
    /** Those that forbid to prune these rows. */
    readonly holdsOnRows: (rows: AgedRows) => Effect.Effect<ReadonlyArray<LegalHold>, StoreError>
    /** Those that forbid to erase the subject. */
    readonly holdsOnSubject: (subject: string) => Effect.Effect<ReadonlyArray<LegalHold>, StoreError>
    /** False when one stands already, which stays as it is. */
    readonly setHold: (hold: Omit<LegalHold, "setAtMs">) => Effect.Effect<boolean, StoreError>
    /** `NotOwner`: this connection may set holds and not release them. */
    readonly releaseHold: (
      scope: HoldScope,
      name: string
    ) => Effect.Effect<"Released" | "None" | "NotOwner", StoreError>
  }
>()("effect-governance/services/RetentionStore") {}
