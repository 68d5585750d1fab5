// A stranger's side: Node's own hash and signatures, no database, no secret.
import { createHash, createPublicKey, verify } from "node:crypto"
import { Result } from "effect"
import { checkBundle } from "../schema/BundleCheck.ts"
import type { BundleRefused } from "../schema/BundleError.ts"
import type { BundleVerdict } from "../schema/BundleVerdict.ts"
import type { VerifyBytes } from "../schema/Checkpoint.ts"
import type { Sha256 } from "../schema/Merkle.ts"
import type { NoteKey } from "../schema/SignedNote.ts"
import { readZip } from "./ZipReader.ts"

/** What can be said of an archive. A foreign or damaged one is refused before anything of it is read. */
export const verifyBundle = (archive: Uint8Array, key: NoteKey | null): Result.Result<BundleVerdict, BundleRefused> =>
  Result.map(readZip(archive), (files) => checkBundle(files, key, { sha: sha256, verify: verifyEd25519 }))

export const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest()

/** RFC 8032. False for what is no key or no signature. */
export const verifyEd25519: VerifyBytes = (publicKey, bytes, signature) => {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const key = Result.try(() =>
    createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: "der", type: "spki" })
  )
  return Result.isSuccess(key) && verify(null, bytes, key.success, signature)
}

/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410). */
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex")
