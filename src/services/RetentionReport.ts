import { Context, type Duration, Effect } from "effect"
import type { ChainRow } from "../schema/Envelope.ts"
import type { RetentionRefused } from "../schema/RetentionError.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { AgedRows, SealedSegment } from "./RetentionStore.ts"

/** Whether the row of chain `operator` with this number is in a signed checkpoint, or nobody signs any. Default: nobody asks. */
export const CheckpointCoverage = Context.Reference<(sealSeq: number) => Effect.Effect<boolean, StoreError>>(
  "effect-governance/services/CheckpointCoverage",
  { defaultValue: () => () => Effect.succeed(true) }
)

/** Chains of which a checkpoint says that rows were changed or are missing. Default: nobody asks. */
export const CheckpointObjections = Context.Reference<Effect.Effect<ReadonlySet<string>, StoreError>>(
  "effect-governance/services/CheckpointObjections",
  { defaultValue: () => Effect.succeed(new Set<string>()) }
)

export interface RetentionWish {
  /** Rows written and recorded longer ago than this may go. */
  readonly olderThan: Duration.Duration
  /** Only this chain. */
  readonly chain?: string | undefined
  /** Lets `olderThan` be shorter than the configured minimum; no law may ask for more. */
  readonly allowShorter?: boolean | undefined
}

export interface PruneOptions<E> extends RetentionWish {
  readonly by: string
  /** Gets the rows of each segment before they are deleted, and MUST have kept them when it is done. */
  readonly archive?: ((rows: ReadonlyArray<ChainRow>) => Effect.Effect<void, E>) | undefined
}

export interface PrunedSegment extends SealedSegment {
  readonly rows: number
}

export interface PruneReport {
  readonly pruned: ReadonlyArray<PrunedSegment>
  /** Sealed, but not in a checkpoint yet: pruned the next time. */
  readonly waiting: ReadonlyArray<SealedSegment>
  /** Chains that have rows old enough and keep them, with the reason. */
  readonly refused: ReadonlyArray<RetentionRefused>
}

export interface RetentionPlan {
  readonly rows: ReadonlyArray<AgedRows>
  readonly refused: ReadonlyArray<RetentionRefused>
}
