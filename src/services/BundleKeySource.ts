import { Context, Effect, Layer } from "effect"
import { Hex } from "effect/encoding"
import type { BundleAgentKey } from "../schema/Bundle.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AgentKeyStore } from "./AgentKeyStore.ts"
import { AuditStore } from "./AuditStore.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { possession } from "./KeyPossession.ts"
import * as LoggedRevocations from "./LoggedRevocations.ts"

/** The public keys of agents, as a bundle gives them to a stranger. */
export class BundleKeySource extends Context.Service<
  BundleKeySource,
  { readonly agentKeys: Effect.Effect<ReadonlyArray<BundleAgentKey>, StoreError> }
>()("effect-governance/services/BundleKeySource") {}

/** The registry, as it is when a bundle is made: only keys that their owners proved to have. */
export const layer = Layer.effect(
  BundleKeySource,
  Effect.gen(function* () {
    const store = yield* AgentKeyStore
    const { hash, macFor } = yield* ChainKeys
    const logged = LoggedRevocations.read(yield* AuditStore, { hash, macFor })
    return BundleKeySource.of({
      agentKeys: Effect.map(Effect.all([store.list, store.deploymentId, logged]), ([keys, deploymentId, revoked]) => {
        const possessed = possession(hash, deploymentId)
        return keys
          .map((key) => LoggedRevocations.heed(key, revoked))
          .filter((key) => possessed(key) !== null)
          .map(({ activationSeq, agentId, fingerprint, publicKey, registeredAtMs, revocation }) => ({
            agent: agentId,
            fingerprint,
            publicKey: Hex.encode(publicKey),
            activationSeq,
            registeredAtMs,
            revokedAtMs: revocation?.revokedAtMs ?? null
          }))
      })
    })
  })
)

/** No registry of keys: rows that are signed cannot be judged by their signature, and a verifier says so. */
export const layerNone = Layer.succeed(BundleKeySource, BundleKeySource.of({ agentKeys: Effect.succeed([]) }))
