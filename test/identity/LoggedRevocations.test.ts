import { randomUUID } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as MemoryAuditStore from "../../src/layers/memory/AuditStore.ts"
import type { AgentKey } from "../../src/schema/AgentKey.ts"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { AgentId, agentChain, EventId, operatorChain } from "../../src/schema/Ids.ts"
import { operatorDraft } from "../../src/schema/OperatorDraft.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as LoggedRevocations from "../../src/services/LoggedRevocations.ts"
import { anySigner } from "./Keys.ts"

const world = MemoryAuditStore.layer.pipe(Layer.provideMerge(ChainKeys.layerTest))
const say = Effect.fnUntraced(function* (kind: string, metadata: Record<string, string | number | null>) {
  const store = yield* AuditStore
  const draft = operatorDraft(EventId.make(randomUUID()), 5_000, kind, metadata)
  yield* store.append(draft)
  return draft
})
const told = { fingerprint: "ab".repeat(32), agent: "clerk", reason: "stolen", by: "ada" }

describe("revocations that the log tells of", () => {
  it.effect("are believed where the row passes its own check, in chain operator alone; the first stays (IDN-06)", () =>
    Effect.gen(function* () {
      const store = yield* AuditStore
      const { hash, macFor } = yield* ChainKeys.ChainKeys
      const first = yield* say("audit.agent_key_revocation", { ...told, revokedAtMs: 4_000 })
      yield* say("audit.agent_key_revocation", { ...told, revokedAtMs: 3_000 })
      yield* say("identity.revocation_without_chain_event", {
        ...told,
        fingerprint: "cd".repeat(32),
        revokedAtMs: null
      })
      yield* say("audit.agent_key_registered", { ...told, fingerprint: "ef".repeat(32), revokedAtMs: 1 })
      const clerk = AgentId.make("clerk")
      yield* store.append({
        ...operatorDraft(EventId.make(randomUUID()), 5_000, "audit.agent_key_revocation", {}),
        chain: agentChain(clerk),
        agent: clerk,
        metadataText: canonicalize({ ...told, fingerprint: "01".repeat(32), revokedAtMs: 1 })
      })
      const found = yield* LoggedRevocations.read(store, { hash, macFor })
      assert.deepStrictEqual(
        [...found].map(([fingerprint, { revokedAtMs }]) => [fingerprint.slice(0, 2), revokedAtMs]),
        [
          ["ab", 4_000],
          ["cd", 5_000]
        ]
      )
      assert.strictEqual(found.get(told.fingerprint)?.eventId, first.id)
      assert.strictEqual((yield* store.find({ chain: operatorChain })).length, 4)
      // Whoever has not the audit secret ends no key, and neither does a row that nobody here can judge.
      const zero = () => new Uint8Array(32)
      for (const strange of [() => zero, () => undefined]) {
        assert.strictEqual((yield* LoggedRevocations.read(store, { hash, macFor: strange })).size, 0)
      }
    }).pipe(Effect.provide(world))
  )

  it("end a key at the earlier of both times, whichever place says it (IDN-06)", () => {
    const { agentId, fingerprint, publicKey } = anySigner("clerk")
    const key: AgentKey = {
      agentId,
      fingerprint,
      publicKey,
      proof: new Uint8Array(64),
      activationSeq: 1,
      registeredAtMs: 0,
      revocation: null
    }
    const at = (revokedAtMs: number) => ({ reason: "x", revokedBy: "ada", revokedAtMs, eventId: null })
    const end = (registry: number | null, log: number | null) =>
      LoggedRevocations.heed(
        { ...key, revocation: registry === null ? null : at(registry) },
        log === null ? LoggedRevocations.none : new Map([[fingerprint as string, at(log)]])
      ).revocation?.revokedAtMs
    assert.deepStrictEqual([end(null, null), end(7, null), end(null, 7), end(9, 7), end(7, 9)], [undefined, 7, 7, 7, 7])
  })
})
