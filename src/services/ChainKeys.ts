import { hash as digest, type KeyObject, randomBytes } from "node:crypto"
import { Context, Effect, Layer, Redacted, Result } from "effect"
import type { Digest, RowKeys } from "../schema/Chain.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { KeyId } from "../schema/Ids.ts"
import { checkSecretStrength } from "../schema/Secret.ts"
import * as KeyRing from "./KeyRing.ts"
import { hmacSha256, sha256OfText } from "./TextDigests.ts"

/** The audit secret and those before it, as far as anyone may use them: the secrets themselves never leave this service (K-02, K-12). */
export class ChainKeys extends Context.Service<
  ChainKeys,
  {
    /** What new rows are sealed with. Read it for each row: it changes when keys are rotated. */
    readonly current: RowKeys
    /** The HMAC of the key with exactly this id, if it is known; an id is never completed or guessed (K-07). */
    readonly macFor: (keyId: KeyId) => Digest | undefined
    /** Every key id this process can check with, the current one first. */
    readonly keyIds: () => ReadonlyArray<KeyId>
    /** HMAC-SHA-256 under the key of that purpose, derived from the secret with exactly this id: for what outlives a rotation. */
    readonly macWith: (keyId: KeyId, purpose: string) => Digest | undefined
    /** SHA-256 over UTF-8. */
    readonly hash: Digest
    /** A key for one purpose, by HKDF-SHA-256 (RFC 5869): knowing one says nothing of another, or of the secret (K-02). */
    readonly deriveKey: (purpose: string) => KeyObject
    /** HMAC-SHA-256 under the key of that purpose. */
    readonly macOf: (purpose: string) => Digest
    /** 64 hex digits that name the current secret without helping to guess it; its first 32 are the key id (ROT-04). */
    readonly fingerprint: string
    /** True when the secret was made up at start: what it seals cannot be verified after a restart (CFG-02, DEC-18). */
    readonly ephemeral: boolean
    /** How a rotation reaches the keys. */
    readonly ring: KeyRing.KeyRing
  }
>()("effect-governance/services/ChainKeys") {}

export interface ChainKeysOptions {
  readonly secret: Redacted.Redacted<string> | null | undefined
  /** Secrets that were rotated out, to verify what they sealed (CFG-06). */
  readonly historic?: ReadonlyArray<Redacted.Redacted<string>> | undefined
  /** Whether an unset secret may be replaced by a random one: only for memory stores or an empty log (DEC-18). */
  readonly ephemeralAllowed: boolean
}

export const make = Effect.fnUntraced(function* (options: ChainKeysOptions) {
  const historic = yield* Effect.forEach(options.historic ?? [], (secret) =>
    strong("GOVERNANCE_CHAIN_KEY_<fingerprint>", secret)
  )
  if (options.secret !== null && options.secret !== undefined) {
    return fromBytes(yield* strong(settingName, options.secret), historic, false)
  }
  if (!options.ephemeralAllowed) {
    return yield* new ConfigurationError({
      setting: settingName,
      problem: "is not set; a log that is kept needs a secret of at least 32 random bytes"
    })
  }
  yield* Effect.logWarning(
    `${settingName} is not set: a random secret is used, and the audit chain will not verify after a restart`
  )
  return fromBytes(randomBytes(32), historic, true)
})

/** Fails with ConfigurationError for a weak secret, or a missing one where an ephemeral secret is not allowed (K-01, CFG-02). */
export const layer = (options: ChainKeysOptions) => Layer.effect(ChainKeys, make(options))

/** A random secret that dies with the process, without a warning: for memory stores, which die with it too. */
export const layerMemory = Layer.sync(ChainKeys, () => fromBytes(randomBytes(32), [], true))

/** Always the same key. For tests only. */
export const layerTest = Layer.sync(ChainKeys, () => fromBytes(digest("sha256", "test key", "buffer"), [], false))

const settingName = "GOVERNANCE_AUDIT_SECRET"

const strong = (setting: string, secret: Redacted.Redacted<string>) =>
  Result.match(checkSecretStrength(Redacted.value(secret)), {
    onFailure: ({ problem }) => Effect.fail(new ConfigurationError({ setting, problem })),
    onSuccess: (bytes) => Effect.succeed(bytes)
  })

const fromBytes = (secret: Uint8Array, historic: ReadonlyArray<Uint8Array>, ephemeral: boolean) => {
  const { current, find, keyIds, ring } = KeyRing.make(secret, historic)
  const deriveKey = (purpose: string) => KeyRing.derive(current().secret, purpose)
  return ChainKeys.of({
    get current() {
      return current().row
    },
    macFor: (keyId) => find(keyId)?.row.mac,
    keyIds,
    macWith: (keyId, purpose) => {
      const key = find(keyId)
      return key === undefined ? undefined : hmacSha256(KeyRing.derive(key.secret, purpose))
    },
    hash: sha256OfText,
    deriveKey,
    macOf: (purpose) => hmacSha256(deriveKey(purpose)),
    get fingerprint() {
      return current().fingerprint
    },
    ephemeral,
    ring
  })
}
