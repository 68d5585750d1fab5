import { Context, Effect, Layer, type Redacted } from "effect"
import type { EmbeddedPostgresError } from "../layers/Embedded.ts"
import { keepSecret, makeSecret, promoteSecret } from "../layers/embedded/KeptSecret.ts"
import type { KeyId } from "../schema/Ids.ts"
import { ChainKeyStore } from "../services/ChainKeyStore.ts"
import { ChainKeys } from "../services/ChainKeys.ts"
import { Place } from "./Place.ts"

/** Where the new secret goes: beside the data of an embedded database, or wherever the operator says. */
export class RotationPlace extends Context.Service<
  RotationPlace,
  {
    /** What holds the secret of an embedded log; null when the secret was given from outside. */
    readonly kept: {
      /** True when an earlier rotation was committed and the files were not yet put right; now they are (K-05). */
      readonly finish: Effect.Effect<boolean, EmbeddedPostgresError>
      readonly keep: (secret: Redacted.Redacted<string>) => Effect.Effect<void, EmbeddedPostgresError>
      readonly promote: (secret: Redacted.Redacted<string>) => Effect.Effect<void, EmbeddedPostgresError>
    } | null
    readonly makeSecret: Effect.Effect<Redacted.Redacted<string>>
  }
>()("effect-governance/cli/RotationPlace") {}

export const make = Effect.gen(function* () {
  const { auditSecret, dataDir, otherSecrets, secretIsKept } = yield* Place
  const { current, ring } = yield* ChainKeys
  const registry = yield* ChainKeyStore
  if (auditSecret === null || dataDir === null || !secretIsKept) return RotationPlace.of({ kept: null, makeSecret })

  const idOf = (secret: Redacted.Redacted<string>) => Effect.orDie(Effect.fromResult(ring.learn(secret)))
  const own = yield* idOf(auditSecret)
  const inForce: KeyId = current.keyId

  const promote = (secret: Redacted.Redacted<string>) =>
    promoteSecret(dataDir, { keyId: own, secret: auditSecret }, secret)

  const { versions } = yield* registry.read
  return RotationPlace.of({
    makeSecret,
    kept: {
      keep: (secret) => Effect.flatMap(idOf(secret), (keyId) => keepSecret(dataDir, keyId, secret)),
      promote,
      finish: Effect.gen(function* () {
        if (own === inForce || !versions.some(({ keyId }) => keyId === inForce)) return false
        for (const secret of otherSecrets) {
          if ((yield* idOf(secret)) !== inForce) continue
          yield* promote(secret)
          return true
        }
        return false
      })
    }
  })
})

export const layer = Layer.effect(RotationPlace, make)
