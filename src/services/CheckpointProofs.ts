import { Context, Effect, Layer } from "effect"
import type { CheckpointBody, CheckpointLeaf, SignBytes } from "../schema/Checkpoint.ts"
import type { ChainId } from "../schema/Ids.ts"
import type { NoteKey } from "../schema/SignedNote.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** The newest signed state of the tree, as it left the database. */
export interface LatestCheckpoint {
  readonly note: string
  readonly body: CheckpointBody
}

/** A leaf of the tree and the hashes that lead from it to the root. */
export interface ProvenLeaf extends CheckpointLeaf {
  readonly index: number
  readonly proof: ReadonlyArray<Uint8Array>
}

/** What evidence needs of the checkpoints: the newest, proofs of what it covers, and the key that signs. */
export class CheckpointProofs extends Context.Service<
  CheckpointProofs,
  {
    readonly deploymentId: Effect.Effect<string | null, StoreError>
    readonly latest: Effect.Effect<LatestCheckpoint | null, StoreError>
    /** The last leaf of each of these chains, or of every chain for null, in the tree of that size. Chains without a leaf are left out. */
    readonly lastLeaves: (
      size: number,
      chains: ReadonlyArray<ChainId> | null
    ) => Effect.Effect<ReadonlyArray<ProvenLeaf>, StoreError>
    /** Null where this process has no checkpoint key. */
    readonly signer: (NoteKey & { readonly sign: SignBytes }) | null
  }
>()("effect-governance/services/CheckpointProofs") {}

/** A log without checkpoints: every report and bundle says so. */
export const layerNone = Layer.succeed(
  CheckpointProofs,
  CheckpointProofs.of({
    deploymentId: Effect.succeed(null),
    latest: Effect.succeed(null),
    lastLeaves: () => Effect.succeed([]),
    signer: null
  })
)
