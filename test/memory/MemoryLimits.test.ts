import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as BoundedMap from "../../src/layers/memory/BoundedMap.ts"
import * as MemoryState from "../../src/layers/memory/MemoryState.ts"
import * as Stores from "../../src/layers/memory/Stores.ts"
import { NanoUsd } from "../../src/schema/Money.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { CostStore } from "../../src/services/CostStore.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import * as rig from "../../src/testing/StoreSet.ts"

const within = (limits: Partial<MemoryState.MemoryLimits>) =>
  Effect.provide(Stores.layerNoState.pipe(Layer.provideMerge(MemoryState.layerWith(limits))))

describe("BoundedMap", () => {
  it("forgets what was not used for longest and keeps what is in use (R-08)", () => {
    const map = BoundedMap.make<string, number>(100)
    map.set("used", 0)
    for (let i = 1; i <= 10_000; i++) {
      map.set(`${i}`, i)
      assert.strictEqual(map.get("used"), 0)
      assert.isAtMost(map.size(), 100)
    }
    assert.isUndefined(map.get("1"))
    assert.strictEqual(map.get("10000"), 10_000)
    assert.isTrue(map.delete("10000"))
    assert.isUndefined(map.get("10000"))
    assert.include(map.values(), 0)
  })

  it("keeps what must stay, even when that is more than its capacity (R-08)", () => {
    const map = BoundedMap.make<number, boolean>(10, (held) => held)
    for (let i = 0; i < 1000; i++) map.set(i, i < 50)
    for (let i = 0; i < 50; i++) assert.isTrue(map.get(i))
    assert.isAtMost(map.size(), 60)
  })
})

describe("the memory state under invented ids", () => {
  it.effect("stays small under 20,000 sessions, and open holds stay exact (R-08, DEC-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const state = yield* MemoryState.MemoryState
      const agentId = yield* rig.withBudget({ perSessionUsd: "0.000001" })
      const sessionId = rig.newSession()
      yield* store.admit(rig.request(agentId, { sessionId }))
      for (let i = 0; i < 20_000; i++) {
        const ask = rig.request(agentId, { sessionId: rig.newSession(), tool: `t${i}` })
        yield* store.admit(ask)
        yield* store.settle(agentId, ask.ticket, rig.spent(1n))
      }
      assert.isAtMost(state.sessions.size(), 101)
      assert.isAtMost(state.closed.size, 50)
      assert.strictEqual((yield* store.admit(rig.request(agentId, { sessionId })))._tag, "Short")
    }).pipe(within({ sessions: 100, settledTickets: 50 }))
  )

  it.effect("counts a session's tools up to a limit and drops the oldest window (R-08)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const state = yield* MemoryState.MemoryState
      const agentId = yield* rig.enrolled
      yield* rig.policy(agentId, "loop", { windowSeconds: 60, maxCalls: 2, action: "raise" })
      for (let i = 0; i < 100; i++) yield* store.admit(rig.request(agentId, { tool: `t${i}` }))
      assert.strictEqual(state.sessions.get(MemoryState.sessionKey(agentId, null))?.windows.size, 4)
    }).pipe(within({ toolsPerSession: 4 }))
  )

  it.effect(
    "forgets bare agents when full, but none that is halted, capped, a delegate or at work (R-08, BEY-09)",
    () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const presence = yield* PresenceStore
        const halted = yield* rig.enrolled
        yield* presence.halt({ agentId: halted, haltedBy: rig.operator, reason: "stop" })
        const capped = yield* rig.withBudget({ perSessionUsd: "0" })
        const root = yield* rig.enrolled
        const child = yield* rig.delegateOf(root)
        const working = yield* rig.enrolled
        yield* store.admit(rig.request(working))
        for (let i = 0; i < 100; i++) yield* rig.enrolled
        const state = yield* MemoryState.MemoryState
        assert.strictEqual(state.agents.size, 10)
        for (const agentId of [halted, capped, root, child, working]) assert.isTrue(state.agents.has(agentId))
        assert.deepStrictEqual((yield* store.admit(rig.request(child, { root })))._tag, "Admitted")
      }).pipe(within({ agents: 10 }))
  )

  it.effect("says overload instead of forgetting what it must not (R-08, I9)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const presence = yield* PresenceStore
      for (let i = 0; i < 3; i++) yield* rig.withBudget({ perSessionUsd: "1" })
      const agentId = rig.newAgent()
      assert.strictEqual((yield* Effect.flip(store.admit(rig.request(agentId)))).problem, "overload")
      assert.strictEqual((yield* Effect.flip(presence.enrol(agentId, null))).problem, "overload")
    }).pipe(within({ agents: 3 }))
  )

  it.effect("keeps the counters of two days an agent (R-08, U-09)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const state = yield* MemoryState.MemoryState
      const agentId = yield* rig.enrolled
      for (let day = 0; day < 10; day++) {
        yield* store.admit(rig.request(agentId))
        yield* TestClock.adjust("1 day")
      }
      assert.strictEqual(state.agents.get(agentId)?.days.size, 2)
    }).pipe(within({}))
  )

  it.effect("shows sums beyond the largest amount as the largest, and refuses on them (U-14)", () =>
    Effect.gen(function* () {
      const costs = yield* CostStore
      const store = yield* AdmissionStore
      const agentId = yield* rig.withBudget({ perAgentUsdDaily: "9223372036.854775807" })
      const largest = NanoUsd.make(2n ** 63n - 1n)
      for (let i = 0; i < 2; i++) {
        yield* costs.track({ id: rig.newTicket(), agentId, sessionId: null, model: null, usd: largest, tokens: 0n })
      }
      assert.strictEqual((yield* costs.snapshot(agentId, null)).dailyUsd, largest)
      assert.strictEqual((yield* store.admit(rig.request(agentId)))._tag, "Short")
    }).pipe(within({}))
  )
})
