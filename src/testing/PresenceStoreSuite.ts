/** The contract of `PresenceStore` (PRS-*, DEC-10, BEY-09, H-09). */
import { assert } from "@effect/vitest"
import { DateTime, Effect, type Layer } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import { OperatorId } from "../schema/Ids.ts"
import { maxDepth } from "../schema/Presence.ts"
import { PresenceStore } from "../services/PresenceStore.ts"
import {
  delegateOf,
  describeStores,
  enrolled,
  newAgent,
  operator,
  type StoreClock,
  type Stores,
  testClock
} from "./StoreSet.ts"

/** Registers the tests; `stores` MUST build all five stores over one state. */
export const suite = <E>(name: string, stores: Layer.Layer<Stores, E>, clock: StoreClock = testClock) =>
  describeStores(`PresenceStore (${name})`, stores, clock, (it) => {
    const beat = (agentId: AgentId, metadata: Readonly<Record<string, unknown>> | null = null) =>
      PresenceStore.use((store) => store.heartbeat({ agentId, status: "live", operatorId: null, metadata }))
    const presenceOf = (agentId: AgentId) =>
      PresenceStore.use((store) => Effect.map(store.list, (all) => all.find((each) => each.agentId === agentId)))
    const halt = (agentId: AgentId, reason = "stop") =>
      PresenceStore.use((store) => store.halt({ agentId, haltedBy: operator, reason }))

    it.effect("enrols a root, again and again with the same answer (BEY-09)", () =>
      Effect.gen(function* () {
        const store = yield* PresenceStore
        const agentId = newAgent()
        const results = yield* Effect.forEach(Array.from({ length: 10 }), () => store.enrol(agentId, null), {
          concurrency: "unbounded"
        })
        for (const result of results) {
          assert.deepStrictEqual(result, { _tag: "Enrolled", lineage: { root: agentId, path: [agentId] } })
        }
      })
    )

    it.effect("keeps the path from the root down, and a known delegate keeps its parent (BEY-09)", () =>
      Effect.gen(function* () {
        const store = yield* PresenceStore
        const root = yield* enrolled
        const child = yield* delegateOf(root)
        const grandchild = newAgent()
        const expected = { _tag: "Enrolled", lineage: { root, path: [root, child, grandchild] } } as const
        assert.deepStrictEqual(yield* store.enrol(grandchild, child), expected)
        assert.deepStrictEqual(yield* store.enrol(grandchild, child), expected)
        assert.deepStrictEqual(yield* store.enrol(grandchild, null), expected)
        assert.deepStrictEqual(yield* store.enrol(grandchild, root), { _tag: "AgentExists" })
      })
    )

    it.effect("makes no delegate of an agent that is known already, so there is no cycle (design 5)", () =>
      Effect.gen(function* () {
        const store = yield* PresenceStore
        const root = yield* enrolled
        const child = yield* delegateOf(root)
        const other = yield* enrolled
        assert.deepStrictEqual(yield* store.enrol(other, root), { _tag: "AgentExists" })
        assert.deepStrictEqual(yield* store.enrol(root, child), { _tag: "AgentExists" })
        const unknown = newAgent()
        assert.deepStrictEqual(yield* store.enrol(unknown, newAgent()), { _tag: "ParentUnknown" })
        assert.deepStrictEqual(yield* store.enrol(unknown, unknown), { _tag: "ParentUnknown" })
      })
    )

    it.effect(`allows a path of ${maxDepth} agents and no longer one (design 5)`, () =>
      Effect.gen(function* () {
        const store = yield* PresenceStore
        let last = yield* enrolled
        for (let depth = 1; depth < maxDepth; depth++) last = yield* delegateOf(last)
        assert.deepStrictEqual(yield* store.enrol(newAgent(), last), { _tag: "TooDeep" })
      })
    )

    it.effect("gives a delegate one parent when two claim it at once (BEY-09)", () =>
      Effect.gen(function* () {
        const store = yield* PresenceStore
        const parents = [yield* enrolled, yield* enrolled]
        const agentId = newAgent()
        const results = yield* Effect.forEach(parents, (parent) => store.enrol(agentId, parent), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(results.map(({ _tag }) => _tag).sort(), ["AgentExists", "Enrolled"])
      })
    )

    it.effect("shows who is there, with status, last seen, person and metadata (PRS-01, PRS-02)", () =>
      Effect.gen(function* () {
        const store = yield* PresenceStore
        const root = yield* enrolled
        const agentId = yield* delegateOf(root)
        assert.isUndefined(yield* presenceOf(agentId))
        yield* store.heartbeat({
          agentId,
          status: "idle",
          operatorId: OperatorId.make("ann"),
          metadata: { host: "a", __proto__x: 1 }
        })
        const shown = yield* presenceOf(agentId)
        assert.isTrue(shown?.lastSeen !== null && shown?.lastSeen !== undefined && DateTime.isDateTime(shown.lastSeen))
        assert.deepStrictEqual(
          { ...shown, lastSeen: null },
          {
            agentId,
            parent: root,
            status: "idle",
            lastSeen: null,
            operatorId: "ann",
            metadata: { host: "a", __proto__x: 1 }
          }
        )
      })
    )

    it.effect("merges metadata key by key and leaves it alone when none is given (PRS-16)", () =>
      Effect.gen(function* () {
        const agentId = yield* enrolled
        yield* beat(agentId, { version: 1, host: "a" })
        yield* beat(agentId, { version: 2 })
        yield* beat(agentId, null)
        assert.deepStrictEqual((yield* presenceOf(agentId))?.metadata, { version: 2, host: "a" })
      })
    )

    it.effect(
      "shows a halt in status and marker keys, and no heartbeat can lift or fake one (PRS-05, PRS-16, H-09)",
      () =>
        Effect.gen(function* () {
          const agentId = yield* enrolled
          yield* beat(agentId, { host: "a", _halted_by: "mallory", _halt_reason: "no", _halted_at: "now" })
          assert.deepStrictEqual((yield* presenceOf(agentId))?.metadata, { host: "a" })
          const { halt: marker } = yield* halt(agentId, "wrong customer")
          yield* beat(agentId, { _halted_by: null, _halt_reason: null })
          const shown = yield* presenceOf(agentId)
          assert.strictEqual(shown?.status, "halted")
          assert.deepStrictEqual(shown?.metadata, {
            host: "a",
            _halted_by: operator,
            _halted_at: DateTime.formatIso(marker.haltedAt),
            _halt_reason: "wrong customer"
          })
          const store = yield* PresenceStore
          yield* store.resume(agentId)
          const after = yield* presenceOf(agentId)
          assert.deepStrictEqual([after?.status, after?.metadata], ["live", { host: "a" }])
        })
    )

    it.effect("forgets an agent's presence but never its halt (PRS-02, PRS-16)", () =>
      Effect.gen(function* () {
        const store = yield* PresenceStore
        const [gone, stopped] = [yield* enrolled, yield* enrolled]
        yield* beat(gone)
        yield* beat(stopped)
        yield* halt(stopped)
        yield* store.remove(gone)
        yield* store.remove(stopped)
        assert.isUndefined(yield* presenceOf(gone))
        const shown = yield* presenceOf(stopped)
        assert.deepStrictEqual([shown?.status, shown?.lastSeen], ["halted", null])
        assert.isTrue((yield* store.halts).some((each) => each.agentId === stopped))
      })
    )

    it.effect("halts once, and a second halt returns the first (PRS-12)", () =>
      Effect.gen(function* () {
        const store = yield* PresenceStore
        const agentId = yield* enrolled
        const results = yield* Effect.forEach(["a", "b", "c", "d"], (reason) => halt(agentId, reason), {
          concurrency: "unbounded"
        })
        assert.strictEqual(results.filter(({ changed }) => changed).length, 1)
        const mine = (yield* store.halts).filter((each) => each.agentId === agentId)
        assert.strictEqual(mine.length, 1)
        for (const { halt: marker } of results) assert.deepStrictEqual({ ...marker }, { ...mine[0] })
        assert.deepStrictEqual({ ...(yield* store.resume(agentId)) }, { ...mine[0] })
        assert.isNull(yield* store.resume(agentId))
        assert.isFalse((yield* store.halts).some((each) => each.agentId === agentId))
        assert.isTrue((yield* halt(agentId, "again")).changed)
      })
    )

    it.effect("halts an agent that has never been seen (H-08)", () =>
      Effect.gen(function* () {
        const agentId = newAgent()
        assert.isTrue((yield* halt(agentId)).changed)
        assert.strictEqual((yield* presenceOf(agentId))?.status, "halted")
      })
    )

    it.effect(
      "marks as unresponsive only who was not seen for the time, halted or not, and a heartbeat revives (PRS-03, PRS-04)",
      () =>
        Effect.gen(function* () {
          const store = yield* PresenceStore
          const [old, stopped, fresh] = [yield* enrolled, yield* enrolled, yield* enrolled]
          yield* beat(old)
          yield* beat(stopped)
          yield* halt(stopped)
          yield* clock.advance(400)
          yield* beat(fresh)
          const stale = yield* store.markStale(300)
          assert.deepStrictEqual(
            [old, stopped, fresh].map((id) => stale.includes(id)),
            [true, true, false]
          )
          assert.strictEqual((yield* presenceOf(old))?.status, "unresponsive")
          assert.strictEqual((yield* presenceOf(stopped))?.status, "halted")
          yield* beat(old)
          assert.strictEqual((yield* presenceOf(old))?.status, "live")
        })
    )
  })
