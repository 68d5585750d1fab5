import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { AgentId } from "../../src/schema/Ids.ts"
import type { PolicyKind, StoredPolicy } from "../../src/schema/Policy.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Policies } from "../../src/services/Policies.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { capture, doneWithin, lined, newLine } from "./World.ts"

const agentId = AgentId.make("clerk")
const silent = { signal: "silent" } as const
const put = (source: "code" | "operator", body: unknown, kind: PolicyKind = "budget", agent = agentId) =>
  Effect.flatMap(PolicyStore, (store) => store.put({ agentId: agent, kind, body, source }))
const register = (usd: string) =>
  Effect.flatMap(Policies, (policies) => policies.register(agentId, "budget", { perSessionUsd: usd }))
const inForce = Effect.map(Policies, (policies) => policies.get(agentId, "budget"))
const bodyInForce = Effect.map(inForce, (found) => found?.body)

describe("Policies", () => {
  it.effect("has what is stored before anything else runs (ENT-09, PRF-02)", () => {
    const line = newLine()
    // The first governance writes, the second one starts on the same stores.
    return Effect.gen(function* () {
      yield* put("code", { allowedTools: ["read"] }, "scope")
      const stores = yield* PolicyStore
      const fresh = yield* Effect.provideService(preloaded, PolicyStore, stores)
      assert.strictEqual(fresh?.source, "code")
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect("reads again every hotReloadInterval, and swaps the map in one step (HOT-01)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* put("code", { perSessionUsd: "1.00" })
      assert.isUndefined(yield* inForce)
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(yield* inForce)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "1.00" })
      yield* (yield* PolicyStore).remove(agentId, "budget")
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(yield* inForce)
    }).pipe(Effect.provide(lined(line, silent)))
  })

  it.effect("is told of changes at once where a signal comes (HOT-01)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      const { Signal } = yield* Effect.promise(() => import("../../src/services/Signal.ts"))
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      yield* put("operator", { perSessionUsd: "2.00" })
      yield* (yield* Signal).publish("policies", agentId)
      for (let i = 0; i < 50; i++) yield* Effect.yieldNow
      assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "2.00" })
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect("never reads again with hotReload false (HOT-01)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* put("operator", { perSessionUsd: "2.00" })
      yield* TestClock.adjust("10 minutes")
      assert.isUndefined(yield* inForce)
      yield* (yield* Policies).reload
      assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "2.00" })
    }).pipe(Effect.provide(lined(line, { ...silent, hotReload: false })))
  })

  it.effect(
    "lets an operator's row win, warns once in the process that holds another, and gives it back on release (DEC-21)",
    () => {
      const line = newLine()
      const log = capture()
      return Effect.gen(function* () {
        yield* register("1.00")
        yield* put("operator", { perSessionUsd: "0.10" })
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "0.10" })
        yield* register("1.00")
        yield* register("1.00")
        assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "0.10" })
        yield* TestClock.adjust("2 minutes")
        yield* (yield* PolicyStore).release(agentId, "budget")
        yield* register("1.00")
        assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "1.00" })
        // Once for the operator's row, and once more for each new registration against it.
        assert.isAtMost(log.named("policy.differs").length, 3)
        assert.isAtLeast(log.named("policy.differs").length, 1)
      }).pipe(Effect.provide(lined(line, silent)), Effect.provide(log.layer))
    }
  )

  it.effect("warns policy.differs once however often it reads the same row (DEC-21)", () => {
    const line = newLine()
    const log = capture()
    return Effect.gen(function* () {
      yield* register("1.00")
      yield* put("operator", { perSessionUsd: "0.10" })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(log.named("policy.differs").length, 1)
    }).pipe(Effect.provide(lined(line, silent)), Effect.provide(log.layer))
  })

  it.effect("keeps what was in force when a row cannot be read: nothing is loosened (HOT-01)", () => {
    const line = newLine()
    const log = capture()
    return Effect.gen(function* () {
      const scope = yield* AgentScope
      yield* scope.register({ agentId, allowedTools: ["read"] })
      const broken: StoredPolicy = { agentId, kind: "scope", body: { allowedTools: 5 }, source: "operator", version: 9 }
      const store = yield* PolicyStore
      // A row as a later version of this library would write it.
      Object.assign(store, { all: Effect.succeed([broken]) })
      yield* TestClock.adjust("30 seconds")
      yield* scope.check(agentId, { tool: "read" })
      assert.strictEqual((yield* Effect.flip(scope.check(agentId, { tool: "write" })))._tag, "ScopeViolation")
      assert.isAtLeast(log.named("policy.unreadable").length, 1)
    }).pipe(Effect.provide(lined(line, silent)), Effect.provide(log.layer))
  })

  it.effect("keeps the last map when the store is away, and says so (HOT-01)", () =>
    Effect.gen(function* () {
      for (const how of ["down", "hanging"] as const) {
        const line = newLine()
        const log = capture()
        yield* Effect.gen(function* () {
          yield* register("1.00")
          line.state = how
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "1.00" })
          assert.isAtLeast(log.named("policy.reload_failed").length, 1)
          line.state = "up"
        }).pipe(Effect.provide(lined(line, silent), { local: true }), Effect.provide(log.layer))
      }
    })
  )

  it.effect(
    "preloads as soon as a store that was away at start comes back, also without hot reload (ENT-09, INV-1)",
    () => {
      const line = newLine("down")
      const log = capture()
      return Effect.gen(function* () {
        assert.strictEqual(log.named("policy.preload_failed").length, 1)
        line.state = "up"
        yield* put("operator", { perSessionUsd: "0.10" })
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "0.10" })
      }).pipe(Effect.provide(lined(line, { ...silent, hotReload: false })), Effect.provide(log.layer))
    }
  )

  it.effect("rows that were read before a registration was stored do not replace it", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* register("1.00")
      const gate = yield* Deferred.make<void>()
      const reading = yield* Deferred.make<void>()
      line.after = (name) =>
        name === "policies.all"
          ? Effect.andThen(Deferred.succeed(reading, undefined), Deferred.await(gate))
          : Effect.void
      const reload = yield* Effect.forkChild(Effect.flatMap(Policies, (policies) => policies.reload))
      yield* Deferred.await(reading)
      yield* register("0.10")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(reload)
      assert.deepStrictEqual(yield* bodyInForce, { perSessionUsd: "0.10" })
    }).pipe(Effect.provide(lined(line, silent)))
  })

  it.effect("stored waits for a policy on its way, and fails with StoreError after the deadline (design 5)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      const policies = yield* Policies
      line.state = "down"
      yield* register("1.00")
      const error = yield* doneWithin("1 second")(Effect.flip(policies.stored([agentId])))
      assert.deepInclude({ ...error } as object, { _tag: "StoreError", problem: "deadline" })
      yield* policies.stored([AgentId.make("another")])
      line.state = "up"
      yield* doneWithin("6 seconds")(Effect.andThen(Effect.sleep("5 seconds"), policies.stored([agentId])))
    }).pipe(Effect.provide(lined(line, silent)))
  })
})

const preloaded = Effect.scoped(
  Effect.gen(function* () {
    const { make } = yield* Effect.promise(() => import("../../src/services/Policies.ts"))
    return (yield* make).get(agentId, "scope")
  })
)
