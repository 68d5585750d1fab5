import { Effect, Layer } from "effect"
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
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import * as Trees from "./Trees.ts"

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

export const atMs = 1_800_000_000_000

/** A bundle of one row that the agent `clerk` signed, with these keys beside it. */
export const bundleWith = (keys: (own: BundleAgentKey) => ReadonlyArray<BundleAgentKey>) => {
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
