import { Effect, Layer, Result } from "effect"
import * as AuditStore from "../layers/postgres/AuditStore.ts"
import * as ChainKeyStorePg from "../layers/postgres/ChainKeyStore.ts"
import { type ChainKeyVersion, OtherChainKey } from "../schema/ChainKeyVersion.ts"
import * as Finding from "../schema/Finding.ts"
import type { KeyId } from "../schema/Ids.ts"
import { fp16 } from "../schema/RotationMarker.ts"
import { ChainKeyStore } from "../services/ChainKeyStore.ts"
import { ChainKeys } from "../services/ChainKeys.ts"
import * as KeyFollower from "../services/KeyFollower.ts"
import { readingKeys, settings } from "./ChainKeyLayers.ts"
import { database, Place } from "./Place.ts"

const check = "chain key"

/** Which key seals the log, whether the secret that is here belongs to it, and whether a rotation was cut off (K-05). */
export const chainKeyFindings = Effect.gen(function* () {
  const place = yield* Place
  const layer = KeyFollower.layerReading.pipe(
    Layer.provideMerge(Layer.merge(AuditStore.layer, ChainKeyStorePg.layer)),
    Layer.provideMerge(readingKeys),
    Layer.provide(settings),
    Layer.provide(database(place))
  )
  return yield* Effect.provide(compare(place), layer, { local: true })
}).pipe(
  Effect.orElseSucceed(() => [Finding.warn(check, "could not be read", "Run `governance migrate`, then look again.")])
)

const compare = Effect.fnUntraced(function* (place: Place["Service"]) {
  const { current, ring } = yield* ChainKeys
  const { versions } = yield* (yield* ChainKeyStore).read
  const latest = versions.at(-1)
  if (latest === undefined) return [Finding.ok(check, "no program has begun this log yet")]
  const idOf = (secret: Place["Service"]["otherSecrets"][number]) => Result.getOrNull(ring.learn(secret))
  const own = place.auditSecret === null ? null : idOf(place.auditSecret)
  const others = place.otherSecrets.map(idOf)
  const unused = others.filter((keyId) => !versions.some((version) => version.keyId === keyId)).length
  const leftover = Finding.warn(
    check,
    `${unused} kept beside the data never became current: a rotation was cut off before it was committed`,
    "Nothing is lost. Run `governance rotate-chain-key` again if a rotation was wanted."
  )
  return [standing(place, own, current.keyId, versions, latest), ...(unused === 0 ? [] : [leftover])]
})

const standing = (
  place: Place["Service"],
  own: KeyId | null,
  inForce: KeyId,
  versions: ReadonlyArray<ChainKeyVersion>,
  latest: ChainKeyVersion
): Finding.Finding => {
  const name = `${fp16(latest.keyId)}, version ${latest.version}`
  if (own === null || own === latest.keyId) return Finding.ok(check, `${name}, seals the log`)
  const before = versions.find(({ keyId }) => keyId === own)
  if (inForce === latest.keyId) {
    return place.secretIsKept
      ? Finding.warn(
          check,
          `a rotation to ${name}, was committed and cut off: audit-secret still holds the secret before`,
          "Nothing is lost. Run `governance rotate-chain-key`: it finishes that one and makes no other."
        )
      : Finding.warn(
          check,
          `${name}, seals the log, and GOVERNANCE_AUDIT_SECRET is ${before === undefined ? "no key of it" : `version ${before.version}`}`,
          before === undefined
            ? "The current secret was found among the others that were given. Correct GOVERNANCE_AUDIT_SECRET, or rotate to it."
            : `Set GOVERNANCE_AUDIT_SECRET to the current secret, and GOVERNANCE_CHAIN_KEY_${fp16(own).toUpperCase()} to this one.`
        )
  }
  if (before !== undefined) {
    return Finding.fail(
      check,
      `the secret here is version ${before.version}; it was replaced by ${name}, which is not here`,
      "Set GOVERNANCE_AUDIT_SECRET to the new secret and restart the programs that still use this one."
    )
  }
  const other = new OtherChainKey({ keyId: latest.keyId, version: latest.version, given: own })
  return Finding.fail(check, other.message, other.recoveryHint)
}
