// Notes are signed and checked synchronously, which only Node's own crypto gives.
import { createPrivateKey, hash, type KeyObject, sign, verify } from "node:crypto"
import { Context, Layer, Result } from "effect"
import type { NoteCrypto, SignBytes, VerifyBytes } from "../schema/Checkpoint.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { Sha256 } from "../schema/Merkle.ts"
import { publicKeyFrom, publicKeyOf } from "./Ed25519.ts"

/** An Ed25519 key that signs notes. It is never derived from the audit secret (DEC-18). */
export interface SigningKey {
  readonly publicKey: Uint8Array
  readonly sign: SignBytes
}

/** The key of this process, if it has one: without it no checkpoint is made. */
export class CheckpointKey extends Context.Service<CheckpointKey, { readonly signing: SigningKey | null }>()(
  "effect-governance/services/CheckpointKey"
) {}

/** A process without a key: it reads and compares, and signs nothing. */
export const layerNone = Layer.succeed(CheckpointKey, CheckpointKey.of({ signing: null }))

export const layerOf = (signing: SigningKey | null) => Layer.succeed(CheckpointKey, CheckpointKey.of({ signing }))

/** From a PEM (PKCS 8) or from the 32 bytes of the private key in hex. Never says anything of the text that it refuses. */
export const signingKeyOf = (text: string, setting: string): Result.Result<SigningKey, ConfigurationError> =>
  Result.try({
    try: () => fromKey(privateKeyOf(text.trim())),
    catch: () =>
      new ConfigurationError({
        setting,
        problem: "holds no Ed25519 private key; make one with `openssl genpkey -algorithm ed25519`"
      })
  })

export const sha256: Sha256 = (bytes) => hash("sha256", bytes, "buffer")

/** False for whatever is no signature or no key, never an exception. */
export const verifyEd25519: VerifyBytes = (publicKey, bytes, signature) =>
  Result.getOrElse(
    Result.try(() => verify(null, bytes, publicKeyFrom(publicKey), signature)),
    () => false
  )

/** What notes are checked with on Node. */
export const noteCrypto: NoteCrypto = { sha: sha256, verify: verifyEd25519 }

const privateKeyOf = (text: string): KeyObject => {
  const key = /^[0-9a-f]{64}$/i.test(text)
    ? createPrivateKey({ key: Buffer.concat([pkcs8, Buffer.from(text, "hex")]), format: "der", type: "pkcs8" })
    : createPrivateKey(text)
  if (key.asymmetricKeyType !== "ed25519") throw new TypeError("no Ed25519 key")
  return key
}

const fromKey = (key: KeyObject): SigningKey => ({
  publicKey: publicKeyOf(key),
  sign: (bytes) => Uint8Array.from(sign(null, bytes, key))
})

/** PKCS 8 of an Ed25519 key up to the key itself (RFC 8410). */
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex")
