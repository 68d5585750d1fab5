import { Context, type Effect } from "effect"
import type { CheckpointLeaf } from "../schema/Checkpoint.ts"
import type { Frontier } from "../schema/Merkle.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** What is committed of one size before it is signed, and every note that claims it. */
export interface StoredCheckpoint {
  readonly size: number
  /** The size it was made after; 0 for the first. */
  readonly previous: number
  readonly root: Uint8Array
  readonly peaks: Frontier["peaks"]
  readonly notes: ReadonlyArray<string>
  /** Milliseconds since it was committed, by the store's clock. */
  readonly ageMs: number
}

/** A chain whose last row no leaf covers yet, and what stands today where its last leaf says. */
export interface MovedChain extends CheckpointLeaf {
  readonly covered: {
    readonly index: number
    readonly seq: number
    readonly hash: Uint8Array
    /** The hash of the row at `seq` now; null when there is none. */
    readonly now: Uint8Array | null
  } | null
}

/** What the log holds at a leaf's place. */
export interface LeafRow {
  /** Null: there is no such row. */
  readonly hash: Uint8Array | null
  /** The last row of the chain; 0 when it has none. */
  readonly lastSeq: number
}

export interface CheckpointCommit {
  readonly previous: number
  readonly leaves: ReadonlyArray<CheckpointLeaf>
}

/** Where leaves, roots and notes are kept, beside the audit log that they speak of. It judges nothing. */
export class CheckpointStore extends Context.Service<
  CheckpointStore,
  {
    /** Made with the database, never changed. */
    readonly deploymentId: Effect.Effect<string, StoreError>
    readonly latest: Effect.Effect<StoredCheckpoint | null, StoreError>
    /** In order of size, those above `after`. */
    readonly checkpoints: (after: number, limit: number) => Effect.Effect<ReadonlyArray<StoredCheckpoint>, StoreError>
    readonly leaves: (from: number, to: number) => Effect.Effect<ReadonlyArray<CheckpointLeaf>, StoreError>
    /**
     * Chains that grew, shrank or changed since their last leaf, by committed rows only, in order of chain. With `withinMs`
     * only chains that moved so recently are looked at; a late commit may hide from it, so ask without it now and then.
     */
    readonly moved: (limit: number, withinMs: number | null) => Effect.Effect<ReadonlyArray<MovedChain>, StoreError>
    /** One answer for each position, in their order. */
    readonly rowsAt: (
      positions: ReadonlyArray<Pick<CheckpointLeaf, "chain" | "seq">>
    ) => Effect.Effect<ReadonlyArray<LeafRow>, StoreError>
    /**
     * Leaves, and the root that follows from them, in one atomic step. False: `previous` has a successor already, nothing was
     * written. Fails with `integrity` for a leaf that is no stored row after its chain's last leaf.
     */
    readonly commit: (checkpoint: CheckpointCommit) => Effect.Effect<boolean, StoreError>
    /** As `commit`, for leaves whose rows a restored backup has lost. `refused` without the rights of the tables' owner (A-06). */
    readonly retake: (checkpoint: CheckpointCommit) => Effect.Effect<boolean, StoreError>
    /** Adds a note to a committed size. MUST be idempotent. */
    readonly note: (size: number, note: string) => Effect.Effect<void, StoreError>
    readonly adoptions: Effect.Effect<ReadonlyArray<string>, StoreError>
    /** Keeps a signed adoption. MUST be idempotent by id. */
    readonly adopt: (id: string, size: number, note: string) => Effect.Effect<void, StoreError>
  }
>()("effect-governance/services/CheckpointStore") {}
