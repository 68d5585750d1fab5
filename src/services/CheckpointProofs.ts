import { Context, Effect, Layer, Result } from "effect"
import {
  type CheckpointBody,
  type CheckpointLeaf,
  leafHashOf,
  noteStatus,
  originOf,
  parseCheckpoint,
  type SignBytes
} from "../schema/Checkpoint.ts"
import type { ChainId } from "../schema/Ids.ts"
import { inclusionProof } from "../schema/Merkle.ts"
import type { NoteKey } from "../schema/SignedNote.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { CheckpointKey, noteCrypto, sha256 } from "./CheckpointKey.ts"
import { CheckpointStore, type StoredCheckpoint } from "./CheckpointStore.ts"

/** The newest signed state of the tree, as it left the database. */
export interface LatestCheckpoint {
  readonly note: string
  readonly body: CheckpointBody
}

/** A leaf and its place in the tree. */
export interface PlacedLeaf extends CheckpointLeaf {
  readonly index: number
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
    ) => Effect.Effect<ReadonlyArray<PlacedLeaf>, StoreError>
    /** For each leaf the hashes that lead from it to the root of the tree of that size, in their order. */
    readonly prove: (
      size: number,
      leaves: ReadonlyArray<PlacedLeaf>
    ) => Effect.Effect<ReadonlyArray<ReadonlyArray<Uint8Array>>, StoreError>
    /** Null where this process has no checkpoint key. */
    readonly signer: Effect.Effect<(NoteKey & { readonly sign: SignBytes }) | null, StoreError>
  }
>()("effect-governance/services/CheckpointProofs") {}

export const make = Effect.gen(function* () {
  const store = yield* CheckpointStore
  const { signing } = yield* CheckpointKey

  const signer = Effect.map(store.deploymentId, (id) =>
    signing === null ? null : { name: originOf(id), publicKey: signing.publicKey, sign: signing.sign }
  )

  /** A state is committed before it is signed: the newest that bears a note, of our own key where we have one. */
  const latest = Effect.gen(function* () {
    const key = yield* signer
    let found: StoredCheckpoint | null | undefined = yield* store.latest
    for (let back = 0; found !== null && found !== undefined && back < maxUnsigned; back++) {
      const { notes, previous }: StoredCheckpoint = found
      for (const note of notes) {
        const parsed = Result.getOrUndefined(parseCheckpoint(note))
        const isOurs = key === null || (parsed !== undefined && noteStatus(parsed, key, noteCrypto) === "valid")
        if (parsed !== undefined && isOurs) return { note, body: parsed.body }
      }
      found = previous === 0 ? null : (yield* store.checkpoints(previous - 1, 1))[0]
    }
    return null
  })

  const pages = Effect.fnUntraced(function* (
    size: number,
    visit: (leaf: CheckpointLeaf, index: number) => void
  ): Effect.fn.Return<void, StoreError> {
    for (let from = 0; from < size; from += pageSize) {
      const page = yield* store.leaves(from, Math.min(size, from + pageSize))
      for (const [i, leaf] of page.entries()) visit(leaf, from + i)
    }
  })

  return CheckpointProofs.of({
    deploymentId: store.deploymentId,
    latest,
    signer,
    lastLeaves: Effect.fn("CheckpointProofs.lastLeaves")(function* (size, chains) {
      const wanted: ReadonlySet<string> | null = chains === null ? null : new Set(chains)
      const last = new Map<string, PlacedLeaf>()
      yield* pages(size, (leaf, index) => {
        if (wanted === null || wanted.has(leaf.chain)) last.set(leaf.chain, { ...leaf, index })
      })
      return [...last.values()].sort((a, b) => (a.chain < b.chain ? -1 : 1))
    }),
    prove: Effect.fn("CheckpointProofs.prove")(function* (size, leaves) {
      const hashes: Array<Uint8Array> = []
      yield* pages(size, (leaf) => void hashes.push(leafHashOf(leaf, sha256)))
      return leaves.map(({ index }) => inclusionProof(hashes, index, sha256))
    })
  })
})

export const layer = Layer.effect(CheckpointProofs, make)

/** A log without checkpoints: every report and bundle says so. */
export const layerNone = Layer.succeed(
  CheckpointProofs,
  CheckpointProofs.of({
    deploymentId: Effect.succeed(null),
    latest: Effect.succeed(null),
    lastLeaves: () => Effect.succeed([]),
    prove: () => Effect.succeed([]),
    signer: Effect.succeed(null)
  })
)

const pageSize = 10_000
/** How far one looks back for a signature before a report says that there is none. */
const maxUnsigned = 100
