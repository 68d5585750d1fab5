/** The contract of `AgentKeyStore` (IDN-06, K-07, K-14). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Clock, Effect, type Layer } from "effect"
import { AgentKeyFingerprint } from "../schema/AgentKey.ts"
import { AgentKeyStore, type NewAgentKey, type NewRevocation } from "../services/AgentKeyStore.ts"
import { StoreTransaction } from "../services/StoreTransaction.ts"
import { newAgent } from "./StoreSet.ts"

/** Registers the tests; the stores MUST share one transaction. */
export const suite = <E>(name: string, stores: Layer.Layer<AgentKeyStore | StoreTransaction, E>) =>
  layerTest(stores, { excludeTestServices: true, timeout: "60 seconds" })(`AgentKeyStore (${name})`, (it) => {
    it.effect("numbers an agent's keys in the order of their registration, from 1, and lists them so (IDN-06)", () =>
      Effect.gen(function* () {
        const store = yield* AgentKeyStore
        const agentId = newAgent()
        const keys = [anyKey(agentId), anyKey(agentId), anyKey(agentId)]
        let lastMs = yield* Clock.currentTimeMillis
        for (const [i, key] of keys.entries()) {
          const { added, key: stored } = yield* store.add(key)
          assert.isTrue(added)
          assert.deepStrictEqual(stored, {
            ...key,
            activationSeq: i + 1,
            registeredAtMs: stored.registeredAtMs,
            revocation: null
          })
          assert.isAtLeast(stored.registeredAtMs, lastMs)
          lastMs = stored.registeredAtMs
        }
        assert.isAtMost(lastMs, yield* Clock.currentTimeMillis)
        const listed = (yield* store.list).filter((key) => key.agentId === agentId)
        assert.deepStrictEqual(
          listed.map(({ activationSeq, fingerprint }) => [activationSeq, fingerprint]),
          keys.map(({ fingerprint }, i) => [i + 1, fingerprint])
        )
        assert.deepStrictEqual(yield* store.find(keys[1]!.fingerprint), listed[1])
      })
    )

    it.effect("gives every one of many concurrent keys of an agent its own number, without a gap (IDN-06)", () =>
      Effect.gen(function* () {
        const store = yield* AgentKeyStore
        const agentId = newAgent()
        const added = yield* Effect.forEach(Array.from({ length: 12 }), () => store.add(anyKey(agentId)), {
          concurrency: "unbounded"
        })
        const numbers = added.map(({ key }) => key.activationSeq).sort((a, b) => a - b)
        assert.deepStrictEqual(
          numbers,
          Array.from({ length: 12 }, (_, i) => i + 1)
        )
      })
    )

    it.effect("keeps a known key as it is, however many register it at once, and whoever asks (K-07)", () =>
      Effect.gen(function* () {
        const store = yield* AgentKeyStore
        const key = anyKey(newAgent())
        const results = yield* Effect.forEach(Array.from({ length: 8 }), () => store.add(key), {
          concurrency: "unbounded"
        })
        assert.lengthOf(
          results.filter(({ added }) => added),
          1
        )
        const stolen = yield* store.add({ ...key, agentId: newAgent() })
        assert.deepStrictEqual(stolen, { added: false, key: results[0]!.key })
        assert.deepInclude(stolen.key, { agentId: key.agentId, activationSeq: 1 })
      })
    )

    it.effect("keeps the first revocation; of a key that nobody registered it knows nothing (IDN-06)", () =>
      Effect.gen(function* () {
        const store = yield* AgentKeyStore
        const key = anyKey(newAgent())
        assert.isNull(yield* store.find(key.fingerprint))
        assert.isNull(yield* store.revoke(key.fingerprint, revocation("x")))
        yield* store.add(key)
        const first = yield* store.revoke(key.fingerprint, revocation("stolen \u0007 \u{1f600} '; DROP TABLE x"))
        assert.isTrue(first?.revoked)
        const { revokedAtMs = 0, ...facts } = first?.key.revocation ?? {}
        assert.deepStrictEqual(facts, revocation("stolen \u0007 \u{1f600} '; DROP TABLE x"))
        assert.isAtLeast(revokedAtMs, first!.key.registeredAtMs)
        assert.isAtMost(revokedAtMs, yield* Clock.currentTimeMillis)
        const second = yield* store.revoke(key.fingerprint, revocation("again"))
        assert.deepStrictEqual(second, { revoked: false, key: first!.key })
        assert.deepStrictEqual(yield* store.find(key.fingerprint), first!.key)
        assert.isFalse((yield* store.add(key)).added)
      })
    )

    it.effect("commits or forgets with the transaction around it (IDN-07, K-14)", () =>
      Effect.gen(function* () {
        const store = yield* AgentKeyStore
        const { run } = yield* StoreTransaction
        const key = anyKey(newAgent())
        yield* Effect.flip(run(Effect.andThen(store.add(key), Effect.fail("audit"))))
        assert.isNull(yield* store.find(key.fingerprint))
        yield* run(store.add(key))
        yield* Effect.flip(run(Effect.andThen(store.revoke(key.fingerprint, revocation("x")), Effect.fail("audit"))))
        assert.isNull((yield* store.find(key.fingerprint))?.revocation ?? null)
        yield* run(store.revoke(key.fingerprint, revocation("y")))
        assert.strictEqual((yield* store.find(key.fingerprint))?.revocation?.reason, "y")
      })
    )

    it.effect("knows one deployment id, always the same (K-10)", () =>
      Effect.gen(function* () {
        const store = yield* AgentKeyStore
        const id = yield* store.deploymentId
        assert.match(id, /^[0-9a-f-]{36}$/)
        assert.strictEqual(yield* store.deploymentId, id)
      })
    )
  })

const anyBytes = (length: number) => globalThis.crypto.getRandomValues(new Uint8Array(length))

const anyKey = (agentId: NewAgentKey["agentId"]): NewAgentKey => {
  const publicKey = anyBytes(32)
  return {
    agentId,
    publicKey,
    // A store takes what it is given; what a fingerprint is, the service knows.
    fingerprint: AgentKeyFingerprint.make(Array.from(publicKey, (byte) => byte.toString(16).padStart(2, "0")).join("")),
    proof: anyBytes(64)
  }
}

const revocation = (reason: string): NewRevocation => ({ reason, revokedBy: "ada", eventId: null })
