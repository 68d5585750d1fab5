import { assert, layer } from "@effect/vitest"
import { type Context, Deferred, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as Governance from "../../src/layers/Governance.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { governed } from "../../src/services/Governor.ts"
import { Loop } from "../../src/services/Loop.ts"
import { Presence } from "../../src/services/Presence.ts"
import * as Pricing from "../../src/services/Pricing.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import * as Settings from "../../src/services/Settings.ts"
import { Signal } from "../../src/services/Signal.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { silentSignal } from "./World.ts"

const auditSecret = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"
type Services = Layer.Success<ReturnType<typeof Postgres.layer>>

/** Governance as a process of its own has it: its own pools, caches and listener. */
const processOn = Effect.fnUntraced(function* (options: GovernanceOptions = {}) {
  const { appUrl } = yield* TestDatabase
  const all = { databaseUrl: appUrl, auditSecret, testMode: true, warnOnNoWrappers: false, ...options }
  return yield* Layer.build(Layer.fresh(Postgres.layer(all)))
})

/** The same with a listener that never hears anything. */
const deafLayer = (options: GovernanceOptions) =>
  Governance.layer.pipe(
    Layer.provideMerge(Pricing.layerSettings()),
    Layer.provideMerge(silentSignal),
    Layer.provideMerge(Postgres.layerStores),
    Layer.provideMerge(Postgres.layerDatabase),
    Layer.provideMerge(Settings.layer(options))
  )

const inside =
  <R extends Services>(context: Context.Context<R>) =>
  <A, E>(self: Effect.Effect<A, E, R>) =>
    Effect.provide(self, context)

const halt = (agentId: string) =>
  Effect.flatMap(Presence, (presence) => presence.halt(agentId, { by: "ada", reason: "stop" }))
const isHalted = (agentId: string) => Effect.flatMap(Presence, (presence) => presence.isHalted(agentId))
const allow = (agentId: string) =>
  Effect.flatMap(AgentScope, (scope) => scope.register({ agentId, allowedTools: ["*"] }))

/** Asks until it is so, and says how long that took by the monotonic clock. */
const until = <E, R>(self: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    const from = performance.now()
    while (!(yield* self)) {
      if (performance.now() - from > 15_000) return yield* Effect.die(new Error("never happened"))
      yield* Effect.sleep(5)
    }
    return performance.now() - from
  })

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })("Two processes on Postgres", (it) => {
  it.effect(
    "a halt in one is known in the other within 500 ms by LISTEN/NOTIFY, running calls and resume included (V8-07, BEY-05, H-01, G8)",
    () =>
      Effect.gen(function* () {
        const a = yield* processOn({ haltCacheTtl: "30 seconds" })
        const b = yield* processOn({ haltCacheTtl: "30 seconds" })
        yield* inside(b)(allow("clerk"))
        yield* inside(b)(Effect.void.pipe(governed({ agentId: "clerk", tool: "warm" })))
        // The listener of b is up when it has heard somebody.
        yield* inside(b)(listening(a))
        const started = yield* Deferred.make<void>()
        const running = yield* Effect.forkChild(
          inside(b)(
            Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
              governed({ agentId: "clerk", tool: "wait" }),
              Effect.flip
            )
          )
        )
        yield* Deferred.await(started)
        const from = performance.now()
        yield* inside(a)(halt("clerk"))
        const error = yield* Fiber.join(running)
        assert.isBelow(performance.now() - from, 500)
        assert.strictEqual(error._tag, "AgentHaltedError")
        assert.isBelow(yield* until(inside(b)(isHalted("clerk"))), 500)
        yield* inside(a)(Effect.flatMap(Presence, (presence) => presence.resume("clerk", { by: "ada" })))
        assert.isBelow(yield* until(Effect.map(inside(b)(isHalted("clerk")), (is) => !is)), 500)
      })
  )

  it.effect(
    "a halt is known within haltCacheTtl when the signal is silent, and admission knows it at once (V8-13, H-04, DEC-10)",
    () =>
      Effect.gen(function* () {
        const a = yield* processOn()
        const { appUrl } = yield* TestDatabase
        const deaf = yield* Layer.build(
          Layer.fresh(
            deafLayer({
              databaseUrl: appUrl,
              auditSecret,
              testMode: true,
              haltCacheTtl: "700 millis",
              warnOnNoWrappers: false
            })
          )
        )
        yield* inside(deaf)(allow("deaf"))
        yield* inside(deaf)(Effect.void.pipe(governed({ agentId: "deaf", tool: "warm" })))
        yield* inside(a)(halt("deaf"))
        const refused = yield* inside(deaf)(Effect.flip(Effect.void.pipe(governed({ agentId: "deaf", tool: "x" }))))
        assert.strictEqual(refused._tag, "AgentHaltedError")
        yield* inside(deaf)(Effect.flatMap(Presence, (presence) => presence.forceRefreshHaltedCache))
        yield* inside(a)(halt("second"))
        assert.isBelow(yield* until(inside(deaf)(isHalted("second"))), 1_200)
      })
  )

  it.effect("heartbeats of the halted agent, forged ones included, cannot touch its halt (PRS-16, H-09)", () =>
    Effect.gen(function* () {
      const a = yield* processOn()
      const b = yield* processOn()
      yield* inside(a)(halt("flood"))
      const metadata = { _halted_by: null, _halt_reason: "", _halted_at: null }
      yield* inside(b)(
        Effect.forEach(
          Array.from({ length: 100 }),
          () => Effect.flatMap(Presence, (presence) => presence.heartbeat("flood", { metadata })),
          { concurrency: 10 }
        )
      )
      yield* inside(b)(Effect.flatMap(Presence, (presence) => presence.closeAgent("flood")))
      yield* inside(b)(Effect.flatMap(Presence, (presence) => presence.forceRefreshHaltedCache))
      assert.isTrue(yield* inside(b)(isHalted("flood")))
      const agents = yield* inside(b)(Effect.flatMap(Presence, (presence) => presence.listAgents))
      assert.strictEqual(agents.find(({ agentId }) => agentId === "flood")?.status, "halted")
    })
  )

  it.effect("a halt whose reason is 600 emoji, quotes and controls is stored, read and shown (PRS-15)", () =>
    Effect.gen(function* () {
      const a = yield* processOn()
      const reason = `'; DROP TABLE x; -- \\ \u0000${"\u{1f600}".repeat(600)}`
      yield* inside(a)(Effect.flatMap(Presence, (presence) => presence.halt("emoji", { by: "ada", reason })))
      const error = yield* inside(a)(
        Effect.flip(Effect.flatMap(Presence, (presence) => presence.assertNotHalted("emoji")))
      )
      assert.strictEqual(error._tag, "AgentHaltedError")
    })
  )
})

const payloads = [
  "'; DROP TABLE governance_audit_events; --",
  "x' OR '1'='1",
  '"; SELECT pg_sleep(10); --',
  "$1",
  "{1,2}",
  'a","b',
  "\\x00\\",
  "%s%n",
  "NULL",
  "a\u0000b",
  "\ud800",
  "'||(SELECT current_user)||'",
  "*/ DELETE FROM governance_tickets /*"
]

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })(
  "Injection on Postgres (SEC-06, SEC-02)",
  (it) => {
    it.effect(
      "every field of every user, with statements in it, is a value: calls work, nothing is dropped, the log verifies",
      () =>
        Effect.gen(function* () {
          const process = yield* processOn()
          yield* inside(process)(
            Effect.gen(function* () {
              const cost = yield* Cost
              const presence = yield* Presence
              const audit = yield* Audit
              const before = payloads.length
              for (const payload of payloads) {
                const agentId = `agent ${payload}`
                const sessionId = `session ${payload}`
                const name = `tool ${payload}`
                const all = Effect.gen(function* () {
                  yield* (yield* AgentScope).register({
                    agentId,
                    allowedTools: ["tool *"],
                    allowedApis: [payload.toWellFormed().replaceAll("\u0000", "")]
                  })
                  yield* cost.register({ agentId, perSessionUsd: 1 })
                  yield* (yield* Loop).register({ agentId, windowSeconds: 60, maxCalls: 10 })
                  yield* presence.heartbeat(agentId, {
                    metadata: { [payload]: payload, deep: [{ [payload]: payload }] },
                    operatorId: `op ${payload}`
                  })
                  yield* Effect.succeed({ payload }).pipe(
                    governed({
                      agentId,
                      sessionId,
                      tool: name,
                      maxUsd: "0.01",
                      input: { payload },
                      metadata: { [payload]: payload }
                    })
                  )
                  yield* (yield* Loop).recordCall(agentId, sessionId, name)
                  yield* cost.track(agentId, sessionId, { usd: "0.01", tokens: 1, model: `model ${payload}` })
                  yield* cost.checkOrFail(agentId, sessionId, { usd: "0.01" })
                  yield* audit.log({ kind: `kind ${payload}`, agentId, sessionId, metadata: { payload } })
                  const { state } = yield* cost.snapshot(agentId, sessionId)
                  assert.strictEqual(state.sessionUsd, 20_000_000n, payload)
                  yield* presence.halt(agentId, { by: `op ${payload}`, reason: payload })
                  assert.isTrue(yield* presence.isHalted(agentId))
                  yield* presence.resume(agentId, { by: `op ${payload}`, reason: payload })
                })
                const exit = yield* Effect.exit(all)
                assert.isTrue(Exit.isSuccess(exit), `${JSON.stringify(payload)}: ${String(exit)}`)
              }
              assert.isTrue(yield* audit.verifyChain())
              assert.strictEqual((yield* presence.listAgents).length, before)
            })
          )
        })
    )
  }
)

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })(
  "A privileged connection for halts",
  (it) => {
    it.effect("writes what the application's role may not, and every process sees it (CFG-31, V8-14)", () =>
      Effect.gen(function* () {
        const database = yield* TestDatabase
        const owner = layerSql("owner", { maxConnections: 1 })
        yield* Effect.provide(
          SqlClient.SqlClient.use((sql) =>
            sql.unsafe(`REVOKE EXECUTE ON FUNCTION governance_halt FROM "${database.appRole}"`)
          ),
          owner,
          { local: true }
        )
        const plain = yield* processOn()
        const refused = yield* Effect.flip(halt("wanderer").pipe(inside(plain)))
        assert.strictEqual(refused._tag, "HaltPersistenceError")
        assert.isFalse(yield* isHalted("wanderer").pipe(inside(plain)))

        const operator = yield* processOn({ haltDatabaseUrl: database.ownerUrl })
        yield* halt("wanderer").pipe(inside(operator))
        yield* until(isHalted("wanderer").pipe(inside(plain)))
        const rows = yield* Effect.flatMap(Audit, (audit) => audit.getEvents({ kinds: ["agent.halted"] })).pipe(
          inside(plain)
        )
        assert.deepStrictEqual(
          rows.map((row) => `${row.agentId}`),
          ["wanderer"]
        )
      })
    )
  }
)

/** Another process has been heard: from here on signals arrive. */
const listening = (other: Context.Context<Services>) =>
  Effect.gen(function* () {
    const signal = yield* Signal
    const heard = yield* Deferred.make<void>()
    const listener = yield* Effect.forkChild(
      Stream.runForEach(signal.changes("policies"), (payload) =>
        payload === "are you there" ? Deferred.succeed(heard, undefined) : Effect.void
      )
    )
    const calling = yield* Effect.forkChild(
      Effect.forever(
        Effect.delay(
          Effect.provide(
            Effect.flatMap(Signal, (its) => its.publish("policies", "are you there")),
            other
          ),
          "20 millis"
        )
      )
    )
    yield* Deferred.await(heard)
    yield* Fiber.interrupt(calling)
    yield* Fiber.interrupt(listener)
  })
