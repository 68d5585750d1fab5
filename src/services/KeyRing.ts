// The audit log needs synchronous hashing at a few microseconds a row, which only Node's own crypto gives (Effect's Mac is a
// promise and six times slower).
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from "node:crypto"
import { Redacted, Result } from "effect"
import { Hex } from "effect/encoding"
import type { RowKeys } from "../schema/Chain.ts"
import { KeyId } from "../schema/Ids.ts"
import { type Handover, handoverText } from "../schema/RotationMarker.ts"
import { checkSecretStrength, type WeakSecret } from "../schema/Secret.ts"
import type { StoreProblem } from "../schema/StoreError.ts"
import { subkeyInfo } from "../schema/Subkeys.ts"
import { hmacSha256, sha256OfText } from "./TextDigests.ts"

/** At most so many secrets are held; the one that was used longest ago is let go first (ROT-05). */
export const maxKeys = 64

/** How a rotation changes what `ChainKeys` holds. For `KeyFollower` and `KeyRotation` alone: secrets go in and never out. */
export interface KeyRing {
  /** Holds one more secret, without sealing anything with it. */
  readonly learn: (secret: Redacted.Redacted<string>) => Result.Result<KeyId, WeakSecret>
  readonly fingerprintOf: (keyId: KeyId) => string | undefined
  /** From the next row on everything is sealed with this key. False when it is not held. */
  readonly switchTo: (keyId: KeyId) => boolean
  /** The incoming secret for holders of the outgoing one (AES-256-GCM). Undefined unless both are held. */
  readonly wrap: (handover: Handover) => Uint8Array | undefined
  /** Takes a secret over. False when it was not wrapped for exactly this rotation, or is another secret than its id says. */
  readonly unwrap: (handover: Handover, box: Uint8Array) => boolean
  /** Why nothing may be appended now: it is not known yet, or it is known not to be so, that this log is sealed with our key. */
  held: StoreProblem | null
}

interface HeldKey {
  readonly secret: Uint8Array
  readonly fingerprint: string
  readonly row: RowKeys
}

/** The secrets of one process and what may be done with them. */
export const make = (own: Uint8Array, historic: ReadonlyArray<Uint8Array>) => {
  let current = keyOf(own)
  let used = current
  // Insertion order is the order of use: what was used last stands last.
  const known = new Map<KeyId, HeldKey>()

  const keep = (key: HeldKey) => {
    known.delete(key.row.keyId)
    known.set(key.row.keyId, key)
    for (const keyId of known.keys()) {
      if (known.size <= maxKeys) break
      if (keyId !== current.row.keyId) known.delete(keyId)
    }
    return key.row.keyId
  }
  const find = (keyId: KeyId): HeldKey | undefined => {
    if (keyId === used.row.keyId) return used
    const key = known.get(keyId)
    if (key === undefined) return undefined
    used = key
    keep(key)
    return key
  }
  for (const secret of historic) keep(keyOf(secret))
  keep(current)

  const ring: KeyRing = {
    held: null,
    learn: (secret) => Result.map(checkSecretStrength(Redacted.value(secret)), (bytes) => keep(keyOf(bytes))),
    fingerprintOf: (keyId) => find(keyId)?.fingerprint,
    switchTo: (keyId) => {
      const key = find(keyId)
      if (key !== undefined) current = key
      return key !== undefined
    },
    wrap: (handover) => {
      const [from, to] = [find(handover.from), find(handover.to)]
      return from === undefined || to === undefined ? undefined : encrypt(from.secret, to.secret, handover)
    },
    unwrap: (handover, box) => {
      const from = find(handover.from)
      const secret = from === undefined ? undefined : decrypt(from.secret, box, handover)
      if (secret === undefined) return false
      const key = keyOf(secret)
      if (key.row.keyId !== handover.to) return false
      keep(key)
      return true
    }
  }
  return {
    ring,
    current: () => current,
    find,
    keyIds: (): ReadonlyArray<KeyId> => [
      current.row.keyId,
      ...[...known.keys()].filter((keyId) => keyId !== current.row.keyId)
    ]
  }
}

export const derive = (secret: Uint8Array, purpose: string): KeyObject =>
  createSecretKey(new Uint8Array(hkdfSync("sha256", secret, "", subkeyInfo(purpose), 32)))

const keyOf = (secret: Uint8Array): HeldKey => {
  const fingerprint = Hex.encode(hmacSha256(derive(secret, "fingerprint"))("effect-governance/fingerprint/v1"))
  const keyId = KeyId.make(fingerprint.slice(0, 32))
  return {
    secret,
    fingerprint,
    row: { keyId, hash: sha256OfText, mac: hmacSha256(derive(secret, "audit")), signer: null }
  }
}

const nonceBytes = 12
const tagBytes = 16

const encrypt = (outgoing: Uint8Array, incoming: Uint8Array, handover: Handover): Uint8Array => {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv("aes-256-gcm", derive(outgoing, "rotation-handover"), nonce)
  cipher.setAAD(Buffer.from(handoverText(handover)))
  return Buffer.concat([nonce, cipher.update(incoming), cipher.final(), cipher.getAuthTag()])
}

const decrypt = (outgoing: Uint8Array, box: Uint8Array, handover: Handover): Uint8Array | undefined => {
  if (box.length <= nonceBytes + tagBytes) return undefined
  const decipher = createDecipheriv("aes-256-gcm", derive(outgoing, "rotation-handover"), box.subarray(0, nonceBytes), {
    authTagLength: tagBytes
  })
  decipher.setAAD(Buffer.from(handoverText(handover)))
  decipher.setAuthTag(box.subarray(-tagBytes))
  const body = decipher.update(box.subarray(nonceBytes, -tagBytes))
  // Node says by an exception that the tag is wrong.
  return Result.match(
    Result.try(() => Buffer.concat([body, decipher.final()])),
    { onFailure: () => undefined, onSuccess: (secret) => new Uint8Array(secret) }
  )
}
