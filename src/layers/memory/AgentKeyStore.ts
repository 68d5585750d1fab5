import { Clock, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import type { AgentKey, AgentKeyFingerprint } from "../../schema/AgentKey.ts"
import { AgentKeyStore } from "../../services/AgentKeyStore.ts"
import { CurrentJournal, type Journal } from "./StoreTransaction.ts"

/** Keys in this process's memory, for a deployment that ends with it. */
export const make = Effect.gen(function* () {
  const deploymentId = yield* (yield* SecureRandom.SecureRandom).uuidV7()
  const keys = new Map<AgentKeyFingerprint, AgentKey>()

  const undo = (journal: Journal | null, change: () => void) =>
    journal?.onEnd.push((committed) => {
      if (!committed) change()
    })

  const timed = <A>(f: (journal: Journal | null, nowMs: number) => A) =>
    Effect.map(Effect.all([CurrentJournal, Clock.currentTimeMillis]), ([journal, nowMs]) => f(journal, nowMs))

  return AgentKeyStore.of({
    deploymentId: Effect.succeed(deploymentId),
    list: Effect.sync(() => [...keys.values()].sort(byAgent)),
    find: (fingerprint) => Effect.sync(() => keys.get(fingerprint) ?? null),

    add: (fresh) =>
      timed((journal, registeredAtMs) => {
        const known = keys.get(fresh.fingerprint)
        if (known !== undefined) return { added: false, key: known }
        const before = [...keys.values()].filter(({ agentId }) => agentId === fresh.agentId).length
        const key: AgentKey = Object.freeze({
          ...fresh,
          registeredAtMs,
          publicKey: Uint8Array.from(fresh.publicKey),
          proof: Uint8Array.from(fresh.proof),
          activationSeq: before + 1,
          revocation: null
        })
        keys.set(key.fingerprint, key)
        undo(journal, () => keys.delete(key.fingerprint))
        return { added: true, key }
      }),

    revoke: (fingerprint, revocation) =>
      timed((journal, revokedAtMs) => {
        const known = keys.get(fingerprint)
        if (known === undefined) return null
        if (known.revocation !== null) return { revoked: false, key: known }
        const key: AgentKey = Object.freeze({ ...known, revocation: Object.freeze({ ...revocation, revokedAtMs }) })
        keys.set(fingerprint, key)
        undo(journal, () => keys.set(fingerprint, known))
        return { revoked: true, key }
      })
  })
})

export const layer = Layer.effect(AgentKeyStore, make).pipe(Layer.provide(SecureRandom.layerWebCrypto))

const byAgent = (left: AgentKey, right: AgentKey) =>
  left.agentId === right.agentId ? left.activationSeq - right.activationSeq : left.agentId < right.agentId ? -1 : 1
