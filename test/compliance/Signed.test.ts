import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import * as MemoryAuditStore from "../../src/layers/memory/AuditStore.ts"
import * as SubjectKeyStore from "../../src/layers/memory/SubjectKeyStore.ts"
import { fingerprintOf } from "../../src/schema/AgentKey.ts"
import type { BundleAgentKey } from "../../src/schema/Bundle.ts"
import { AgentId, agentChain, EventId } from "../../src/schema/Ids.ts"
import * as Audit from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { BundleKeySource } from "../../src/services/BundleKeySource.ts"
import * as Bundles from "../../src/services/Bundles.ts"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

const agentKey = Trees.keyOf(5)

/** Keys that sign every row with the agent's key. */
const signing = Layer.effect(
  ChainKeys.ChainKeys,
  Effect.map(ChainKeys.ChainKeys, (keys) =>
    ChainKeys.ChainKeys.of({
      ...keys,
      current: {
        ...keys.current,
        signer: {
          fingerprint: fingerprintOf(agentKey.publicKey, keys.hash),
          sign: (text) => agentKey.sign(new TextEncoder().encode(text))
        }
      }
    })
  )
).pipe(Layer.provide(ChainKeys.layerTest))

const log = Audit.layerWith().pipe(
  Layer.provide(AuditFallback.layerMemory),
  Layer.provideMerge(Layer.merge(MemoryAuditStore.layer, SubjectKeyStore.layer)),
  Layer.provideMerge(signing)
)

const atMs = 1_800_000_000_000

const bundleWith = (keys: (own: BundleAgentKey) => ReadonlyArray<BundleAgentKey>) => {
  const tree = new Trees.Tree()
  return Effect.gen(function* () {
    const store = yield* AuditStore
    const { hash } = yield* ChainKeys.ChainKeys
    const agent = AgentId.make("clerk")
    yield* store.append({
      chain: agentChain(agent),
      id: EventId.make("00000000-0000-4000-8000-000000000001"),
      atMs,
      agent,
      session: null,
      parent: null,
      kind: "note",
      model: null,
      inputHash: null,
      outputHash: null,
      metadataText: "{}"
    })
    yield* tree.grow
    const own: BundleAgentKey = {
      agent,
      fingerprint: fingerprintOf(agentKey.publicKey, hash),
      publicKey: Buffer.from(agentKey.publicKey).toString("hex"),
      activationSeq: 1,
      registeredAtMs: atMs - 1,
      revokedAtMs: null
    }
    const source = Layer.succeed(BundleKeySource, BundleKeySource.of({ agentKeys: Effect.succeed(keys(own)) }))
    const pieces: Array<Uint8Array> = []
    yield* Effect.gen(function* () {
      const bundles = yield* Bundles.Bundles
      yield* bundles.write({ by: "alice" }, (piece) => Effect.sync(() => void pieces.push(piece)))
    }).pipe(
      Effect.provide(Bundles.layer.pipe(Layer.provide(Compliance.layer), Layer.provide([tree.layer(), source])), {
        local: true
      })
    )
    return Buffer.concat(pieces)
  }).pipe(Effect.provide(log))
}

describe("rows that an agent signed", () => {
  it.effect("are judged by the public keys that come along (IDN-06)", () =>
    Effect.gen(function* () {
      const archive = yield* bundleWith((own) => [own])
      assert.deepStrictEqual(verdicts(archive), ["ok", "ok"])
      assert.strictEqual(Result.getOrThrow(verifyBundle(archive, Trees.key)).signedRows, 1)
    })
  )

  it.effect(
    "are tampered with when the key is another agent's or was revoked before, and not judged without a key",
    () =>
      Effect.gen(function* () {
        const cases = [
          [(own: BundleAgentKey) => [{ ...own, agent: "other" }], "tampered"],
          [(own: BundleAgentKey) => [{ ...own, revokedAtMs: atMs - 1 }], "tampered"],
          [(own: BundleAgentKey) => [{ ...own, publicKey: "00".repeat(32) }], "tampered"],
          [(own: BundleAgentKey) => [{ ...own, revokedAtMs: atMs }], "ok"],
          [() => [], "unverifiable"]
        ] as const
        for (const [keys, expected] of cases) {
          assert.deepStrictEqual(verdicts(yield* bundleWith(keys)), [expected, expected])
        }
      })
  )
})
