// A signature is needed at the moment a row is sealed, and only Node's own crypto signs synchronously.
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { Result } from "effect"
import { type AgentKeyFingerprint, fingerprintOf } from "../../schema/AgentKey.ts"
import type { AgentId } from "../../schema/Ids.ts"
import { publicKeyOf } from "../../services/Ed25519.ts"
import type { AgentSigner } from "../../services/Identity.ts"
import { sha256OfText } from "../../services/TextDigests.ts"

export type PrivateKeyProblem = "malformed" | "wrongKind"

/** An Ed25519 key out of PKCS8, PEM or DER. The bytes are zeroed, whatever they were (IDN-03); no error repeats them (K-12). */
export const parsePrivateKey = (bytes: Uint8Array): Result.Result<KeyObject, PrivateKeyProblem> => {
  const isPem = bytes[0] === 0x2d
  const parsed = Result.try(() => {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    return isPem ? createPrivateKey({ key, format: "pem" }) : createPrivateKey({ key, format: "der", type: "pkcs8" })
  })
  bytes.fill(0)
  if (Result.isFailure(parsed)) return Result.fail("malformed")
  return parsed.success.asymmetricKeyType === "ed25519" ? Result.succeed(parsed.success) : Result.fail("wrongKind")
}

export const generatePrivateKey = (): KeyObject => generateKeyPairSync("ed25519").privateKey

export const signerOf = (agentId: AgentId, key: KeyObject): AgentSigner => {
  const publicKey = publicKeyOf(key)
  const fingerprint: AgentKeyFingerprint = fingerprintOf(publicKey, sha256OfText)
  return { agentId, fingerprint, publicKey, sign: (text) => sign(null, Buffer.from(text, "utf8"), key) }
}
