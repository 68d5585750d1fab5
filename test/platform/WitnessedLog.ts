import { createHash, generateKeyPairSync, sign } from "node:crypto"
import { Result } from "effect"
import { Base64, Hex } from "effect/encoding"
import { type CheckpointLeaf, leafHashOf, signCheckpoint } from "../../src/schema/Checkpoint.ts"
import { consistencyProof, rootOf, type Sha256 } from "../../src/schema/Merkle.ts"
import { formatVerifierKey } from "../../src/schema/SignedNote.ts"
import { publicKeyOf } from "../../src/services/Ed25519.ts"

const sha: Sha256 = (bytes) => Uint8Array.from(createHash("sha256").update(bytes).digest())

/** A log with its own key, as a deployment has it. */
export const newLog = (origin = `effect-governance/${globalThis.crypto.randomUUID()}`) => {
  const { privateKey } = generateKeyPairSync("ed25519")
  const publicKey = publicKeyOf(privateKey)
  const key = { name: origin, publicKey, sign: (bytes: Uint8Array) => Uint8Array.from(sign(null, bytes, privateKey)) }
  const leaf = (seq: number, salt = ""): CheckpointLeaf => ({
    chain: "agent:clerk" as never,
    seq,
    hash: sha(Buffer.from(`${seq}${salt}`))
  })
  const note = (leaves: ReadonlyArray<CheckpointLeaf>) =>
    Result.getOrThrow(
      signCheckpoint(
        {
          origin,
          size: leaves.length,
          root: rootOf(
            leaves.map((one) => leafHashOf(one, sha)),
            sha
          )
        },
        key,
        sha
      )
    )
  const shown = (leaves: ReadonlyArray<CheckpointLeaf>, from: number) => ({
    note: note(leaves),
    verifier_key: formatVerifierKey(key, sha),
    old_size: from,
    leaves: leaves.slice(from).map(({ chain, hash, seq }) => ({ chain, seq, hash: Hex.encode(hash) }))
  })
  const proved = (leaves: ReadonlyArray<CheckpointLeaf>, from: number) => {
    const { leaves: _, ...rest } = shown(leaves, from)
    const hashes = leaves.map((one) => leafHashOf(one, sha))
    return { ...rest, proof: consistencyProof(hashes, from, sha).map((hash) => Base64.encode(hash)) }
  }
  return { origin, leaf, shown, proved }
}
