import { createPrivateKey, createPublicKey, sign } from "node:crypto"
import { Effect, Layer, Result } from "effect"
import { type CheckpointLeaf, leafHashOf, originOf, signCheckpoint } from "../../src/schema/Checkpoint.ts"
import { inclusionProof, rootOf } from "../../src/schema/Merkle.ts"
import type { NoteKey } from "../../src/schema/SignedNote.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import { CheckpointProofs } from "../../src/services/CheckpointProofs.ts"

export const deployment = "5f0c1f6e-6f3a-4a57-9d5e-8c3a1b2c4d5e"

/** A key that is always the same for the same byte. */
export const keyOf = (
  byte: number,
  name = originOf(deployment)
): NoteKey & { readonly sign: (bytes: Uint8Array) => Uint8Array } => {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, byte)])
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
  const spki = createPublicKey(key).export({ format: "der", type: "spki" })
  return { name, publicKey: new Uint8Array(spki.subarray(-32)), sign: (bytes) => sign(null, bytes, key) }
}

export const key = keyOf(3)

/** A tree that is grown by hand: `grow` adds a leaf for every chain that moved, as a checkpoint does. */
export class Tree {
  readonly leaves: Array<CheckpointLeaf> = []
  size = 0

  readonly grow = Effect.gen({ self: this }, function* () {
    const store = yield* AuditStore
    for (const { chain, hash, seq } of yield* store.heads(null, 1000)) {
      const known = this.leaves.findLast((leaf) => leaf.chain === chain)
      if (known?.seq !== seq && hash !== null) this.leaves.push({ chain, seq, hash })
    }
    this.size = this.leaves.length
  })

  note(by = key): string {
    const root = rootOf(this.hashes(this.size), sha256)
    return Result.getOrThrow(signCheckpoint({ origin: by.name, size: this.size, root }, by, sha256))
  }

  hashes(size: number) {
    return this.leaves.slice(0, size).map((leaf) => leafHashOf(leaf, sha256))
  }

  layer(by = key) {
    return Layer.succeed(
      CheckpointProofs,
      CheckpointProofs.of({
        deploymentId: Effect.succeed(deployment),
        latest: Effect.sync(() =>
          this.size === 0
            ? null
            : {
                note: this.note(by),
                body: { origin: by.name, size: this.size, root: rootOf(this.hashes(this.size), sha256) }
              }
        ),
        lastLeaves: (size, chains) =>
          Effect.sync(() => {
            const last = new Map(this.leaves.slice(0, size).map((leaf, index) => [leaf.chain, { ...leaf, index }]))
            return [...last.values()].filter(
              ({ chain }) => chains === null || (chains as ReadonlyArray<string>).includes(chain)
            )
          }),
        prove: (size, leaves) =>
          Effect.sync(() => leaves.map(({ index }) => inclusionProof(this.hashes(size), index, sha256))),
        signer: Effect.succeed(by)
      })
    )
  }
}
