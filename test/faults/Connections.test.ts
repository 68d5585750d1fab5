import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { Database } from "../../src/layers/postgres/Database.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { type Governor, governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { StoreTransaction } from "../../src/services/StoreTransaction.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import * as FaultProxy from "./FaultProxy.ts"
import { admin, governance, mustHold } from "./Truth.ts"
import { appendAll, inMemory } from "./Writing.ts"

const own = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
const over = (url: Redacted.Redacted<string>, options = {}) => Effect.provide(governance(url, options), { local: true })
const direct = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(TestDatabase, ({ appUrl }) => over(appUrl)(self))

const allowed = (agent: string, budget = "0.10") =>
  Effect.flatMap(Policies, (policies) =>
    Effect.andThen(
      policies.register(agent, "scope", { allowedTools: ["work"] }),
      policies.register(agent, "budget", { perSessionUsd: budget })
    )
  )
const call = (agent: string, session: string) =>
  governed({ agentId: agent, sessionId: session, tool: "work", maxUsd: "0.01" })
const append = (recorder: ReturnType<typeof inMemory>, count: number, fibers = 16) =>
  Effect.flatMap(Audit, (audit) =>
    appendAll(audit, recorder, { sessions: "c", chains: 4, count, fibers, how: "require" })
  )

/** Every backend of the test's database but the one that asks, whatever it is doing. */
const terminate = admin(
  "SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)

describe("connections that break", () => {
  it.live(
    "idle, active, listening: backends are terminated and the pools heal; nothing acknowledged is lost (F-03, G13)",
    () =>
      own(
        Effect.gen(function* () {
          const recorder = inMemory()
          let admitted = 0
          const use = Effect.gen(function* () {
            yield* allowed("clerk")
            const writing = yield* Effect.forkChild(append(recorder, 1500, 32))
            const calling = yield* Effect.forkChild(
              Effect.forEach(
                Array.from({ length: 60 }),
                () =>
                  Effect.andThen(
                    Effect.sleep("10 millis"),
                    Effect.ignore(
                      call(
                        "clerk",
                        "s"
                      )(
                        Effect.sync(() => {
                          admitted++
                        })
                      )
                    )
                  ),
                { concurrency: 2 }
              )
            )
            let terminated = 0
            for (let i = 0; i < 12; i++) {
              yield* Effect.sleep("40 millis")
              terminated += Number((yield* terminate)[0]?.[0])
            }
            yield* Fiber.join(writing)
            yield* Fiber.join(calling)
            assert.isAbove(terminated, 12)
            const open = yield* admin(
              "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'governance%'"
            )
            assert.isAtMost(Number(open[0]?.[0]), 15)
          })
          yield* direct(use)
          assert.isAtMost(admitted, 10)
          yield* mustHold(recorder.history(), { caps: { "clerk s": 100_000_000n } })
        })
      )
  )

  it.live("an acknowledgement that is cut off after the commit is looked up, never written twice (F-04, AUD-16)", () =>
    own(
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const proxy = yield* FaultProxy.make(appUrl)
        const recorder = inMemory()
        const use = Effect.gen(function* () {
          yield* allowed("clerk", "0.30")
          yield* call("clerk", "warm")(Effect.void)
          yield* proxy.set({ cut: { message: "C", chance: 0.2 } })
          const { acknowledged } = yield* append(recorder, 400)
          assert.strictEqual(acknowledged, 400)
          const calls = yield* Effect.forEach(
            Array.from({ length: 60 }),
            () => Effect.exit(call("clerk", "s")(Effect.void)),
            { concurrency: 4 }
          )
          assert.isAtMost(calls.filter(Exit.isSuccess).length, 30)
          assert.isAbove(proxy.stats.cuts, 10)
          yield* proxy.set({})
        })
        yield* over(proxy.url)(use)
        yield* mustHold(recorder.history(), { caps: { "clerk s": 300_000_000n } })
      })
    )
  )

  it.live("a transaction that the server rolled back at COMMIT is a failure, never a success (F-05)", () =>
    own(
      direct(
        Effect.gen(function* () {
          const { sql } = yield* Database
          const exit = yield* Effect.exit(
            StoreTransaction.use(({ run }) => run(Effect.ignore(sql.unsafe("SELECT 1 / 0"))))
          )
          assert.isTrue(Exit.isFailure(exit))
          assert.deepStrictEqual(yield* sql.unsafe("SELECT 1::int").values, [[1]])
        })
      )
    )
  )

  for (const blackHole of ["toServer", "toClient"] as const) {
    it.live(
      `events logged into a connection that is silent ${blackHole} are kept and stored exactly once (F-06, AUD-08)`,
      () =>
        own(
          Effect.gen(function* () {
            const { appUrl } = yield* TestDatabase
            const proxy = yield* FaultProxy.make(appUrl)
            const recorder = inMemory()
            const use = Effect.gen(function* () {
              const audit = yield* Audit
              yield* append(recorder, 8)
              yield* proxy.set({ blackHole })
              const began = performance.now()
              yield* appendAll(audit, recorder, { sessions: "c", chains: 4, count: 60, fibers: 60, how: "log" })
              assert.isBelow(performance.now() - began, 2500)
              yield* proxy.set({})
              yield* proxy.reset
              for (let i = 0; (yield* audit.stats).waiting > 0 && i < 200; i++) yield* Effect.sleep("50 millis")
              yield* append(recorder, 8)
            })
            yield* over(proxy.url)(use)
            const { rows } = yield* mustHold(recorder.history(), { complete: true })
            assert.strictEqual(rows, 76)
          })
        )
    )
  }

  it.live(
    "latency, slices, a thin line and resets: every answer is typed and within its deadline, then all is well (F-07, G14)",
    () =>
      own(
        Effect.gen(function* () {
          const { appUrl } = yield* TestDatabase
          const proxy = yield* FaultProxy.make(appUrl)
          const use = Effect.gen(function* () {
            const audit = yield* Audit
            const cost = yield* Cost
            const presence = yield* Presence
            yield* allowed("clerk", "100")
            yield* allowed("other", "100")
            yield* call("clerk", "s")(Effect.void)
            yield* call("other", "s")(Effect.void)
            const faults: ReadonlyArray<FaultProxy.Fault> = [
              { latencyMs: 150, jitterMs: 100 },
              { slice: 7 },
              { bytesPerSecond: 1024 },
              { cut: { message: "Z", chance: 0.5 } }
            ]
            for (const fault of faults) {
              yield* proxy.set(fault)
              const surfaces = [
                audit.log({ kind: "tool.call", agentId: "clerk", sessionId: "s" }),
                cost.checkOrFail("clerk", "s", { usd: "0.01" }),
                call("clerk", "s")(Effect.void),
                presence.halt("other", { by: "operator", reason: "test" })
              ]
              const bounded = (one: Effect.Effect<unknown, { readonly _tag: string }, never>) =>
                Effect.gen(function* () {
                  const began = performance.now()
                  const exit = yield* Effect.exit(one)
                  const end = Exit.isSuccess(exit) ? "returned" : (exit.cause.reasons[0]?._tag ?? "nothing")
                  assert.notStrictEqual(end, "Die", JSON.stringify(fault))
                  return performance.now() - began
                })
              const took = yield* Effect.forEach(surfaces, (one) => bounded(one as never), { concurrency: "unbounded" })
              // Room 6 and the settlement each have a second.
              for (const ms of took.slice(0, 3)) assert.isBelow(ms, 3500, JSON.stringify({ fault, took }))
              yield* proxy.set({})
              yield* proxy.reset
              let back = false
              for (let i = 0; !back && i < 60; i++) {
                back = Exit.isSuccess(yield* Effect.exit(call("clerk", "s")(Effect.void)))
                if (!back) yield* Effect.sleep("50 millis")
              }
              assert.isTrue(back, JSON.stringify(fault))
            }
          })
          yield* over(proxy.url)(use)
          yield* mustHold([], { caps: { "clerk s": 100_000_000_000n } })
        })
      )
  )

  it.live("a statement that is cancelled late hits nobody else's (F-08)", () =>
    own(
      Effect.gen(function* () {
        const recorder = inMemory()
        const use = Effect.gen(function* () {
          const { sql } = yield* Database
          const writing = yield* Effect.forkChild(append(recorder, 1200, 8))
          const innocents: Array<unknown> = []
          for (let i = 0; i < 120; i++) {
            yield* Effect.timeoutOption(sql.unsafe("SELECT pg_sleep(0.05)").values, 1 + (i % 20))
            const next = yield* Effect.exit(sql.unsafe("SELECT 1::int").values)
            if (Exit.isFailure(next)) innocents.push(next.cause)
          }
          assert.deepStrictEqual(innocents, [])
          assert.strictEqual((yield* Fiber.join(writing)).retries, 0)
        })
        yield* direct(use)
        yield* mustHold(recorder.history(), { complete: true })
      })
    )
  )

  it.live(
    "a tree that the host has locked is refused within the deadline; other trees and the log go on (R-01, R-06)",
    () =>
      own(
        Effect.gen(function* () {
          const recorder = inMemory()
          const locked = (text: string, during: Effect.Effect<void, unknown, Audit | Governor>) =>
            Effect.gen(function* () {
              const sql = yield* SqlClient.SqlClient
              yield* sql.withTransaction(Effect.andThen(sql.unsafe(text), during))
            }).pipe(Effect.provide(layerSql("admin", { maxConnections: 1 }), { local: true }))
          const use = Effect.gen(function* () {
            yield* allowed("clerk", "100")
            yield* allowed("other", "100")
            yield* call("clerk", "s")(Effect.void)
            yield* call("other", "s")(Effect.void)
            yield* locked(
              "SELECT 1 FROM governance_trees WHERE root = 'clerk' FOR UPDATE",
              Effect.gen(function* () {
                const began = performance.now()
                const refused = yield* Effect.forEach(
                  Array.from({ length: 20 }),
                  () => Effect.flip(call("clerk", "s")(Effect.void)),
                  { concurrency: "unbounded" }
                )
                assert.isTrue(refused.every(({ _tag }) => _tag === "StoreError"))
                assert.isBelow(performance.now() - began, 2500)
                yield* call("other", "s")(Effect.void)
                yield* append(recorder, 40)
              })
            )
            yield* append(recorder, 4)
            yield* locked(
              "SELECT 1 FROM governance_audit_chain_heads WHERE chain = 'session:c0' FOR UPDATE",
              Effect.gen(function* () {
                const audit = yield* Audit
                const began = performance.now()
                yield* appendAll(audit, recorder, { sessions: "c", chains: 1, count: 10, fibers: 10, how: "log" })
                assert.isBelow(performance.now() - began, 2500)
              })
            )
            const audit = yield* Audit
            for (let i = 0; (yield* audit.stats).waiting > 0 && i < 200; i++) yield* Effect.sleep("50 millis")
          })
          yield* direct(use)
          yield* mustHold(recorder.history())
        })
      )
  )
})
