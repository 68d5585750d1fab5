import { Duration, Effect, Option } from "effect"
import type { ChainRow } from "../schema/Envelope.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { LegalHold } from "../schema/LegalHold.ts"
import type { RetentionRefused } from "../schema/RetentionError.ts"
import type * as Service from "../services/Retention.ts"
import type { Time } from "./Call.ts"
import type { Running } from "./Running.ts"

/** Makes what was sealed for a person unreadable for good, while the log still verifies. */
export interface Erasure {
  plan(subject: string): Promise<{ readonly keys: number; readonly holds: ReadonlyArray<LegalHold> }>
  erase(
    subject: string,
    options: { readonly by: string; readonly reason?: string | undefined }
  ): Promise<{ readonly keys: number; readonly reference: string }>
}

/** Keeps chains, agents, sessions and subjects from being pruned or erased. */
export interface LegalHolds {
  /** False when a hold stands there already. */
  set(order: HoldOrder): Promise<boolean>
  /** False when none stands there. Needs the owner's connection. */
  release(order: HoldOrder): Promise<boolean>
  list(): Promise<ReadonlyArray<LegalHold>>
}

export interface HoldOrder {
  readonly scope: "chain" | "agent" | "session" | "subject"
  readonly name: string
  readonly by: string
  readonly reason: string
}

/** Takes old rows out of the log so that the rest still verifies. */
export interface Retention {
  /** What `prune` would take away now. Changes nothing. */
  plan(wish: RetentionWish): Promise<RetentionPlan>
  /** Needs the owner's connection. */
  prune(wish: PruneWish): Promise<PruneReport>
}

export interface RetentionWish {
  /** Rows written longer ago than this may go. */
  readonly olderThan: Time
  readonly chain?: string | undefined
  /** Lets `olderThan` be shorter than the configured minimum. */
  readonly allowShorter?: boolean | undefined
}

export interface PruneWish extends RetentionWish {
  readonly by: string
  /** Gets the rows of each segment before they are deleted, and MUST have kept them when it is done. */
  readonly archive?: ((rows: ReadonlyArray<ChainRow>) => void | PromiseLike<void>) | undefined
}

export interface RowRange {
  readonly chain: string
  readonly fromSeq: number
  readonly toSeq: number
}

export interface RetentionPlan {
  readonly rows: ReadonlyArray<RowRange>
  readonly refused: ReadonlyArray<RetentionRefused>
}

export interface SealedRange extends RowRange {
  /** The id of the seal's row in chain `operator`. */
  readonly seal: string
}

export interface PruneReport {
  readonly pruned: ReadonlyArray<SealedRange & { readonly rows: number }>
  /** Sealed, but not in a checkpoint yet: pruned the next time. */
  readonly waiting: ReadonlyArray<SealedRange>
  readonly refused: ReadonlyArray<RetentionRefused>
}

/** Time spans come as text or milliseconds, and the archive is the caller's. */
export const special = (retention: Service.Retention["Service"], running: Running<never>): Retention => ({
  plan: (wish) =>
    running.promise(Effect.flatMap(span(wish.olderThan), (olderThan) => retention.plan({ ...wish, olderThan }))),
  prune: ({ archive, ...wish }) =>
    running.promise(
      Effect.flatMap(span(wish.olderThan), (olderThan) =>
        retention.prune({
          ...wish,
          olderThan,
          ...(archive === undefined
            ? {}
            : { archive: (rows) => Effect.tryPromise({ try: async () => archive(rows), catch: (error) => error }) })
        })
      )
    )
})

const span = (time: Time) =>
  Option.match(Duration.fromInput(time), {
    onNone: () => Effect.fail(new InvalidInput({ field: "olderThan", problem: 'must be a time such as "200 days"' })),
    onSome: Effect.succeed
  })
