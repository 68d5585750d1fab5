import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { emptyDatabase, freshDatabase, TestDatabase } from "../support/database.ts"
import { cutAt } from "./CutMigration.ts"
import { spread, tell } from "./Facts.ts"
import * as FaultProxy from "./FaultProxy.ts"
import * as PostgresServer from "./PostgresServer.ts"
import * as Processes from "./Processes.ts"
import { admin, mustHold } from "./Truth.ts"

describe("connections that break, at length", () => {
  it.live("thousands of acknowledgements are cut off after their commit; each event stands once (F-04)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const proxy = yield* FaultProxy.make(appUrl)
      const processes = yield* Processes.make
      const worker = yield* processes.worker({ name: "cut", url: proxy.url })
      yield* proxy.set({ cut: { message: "C", chance: 0.15 } })
      const { retries } = yield* worker.ask({
        do: "append",
        sessions: "c",
        chains: 4,
        count: 10_000,
        fibers: 4,
        how: "require"
      })
      yield* proxy.set({})
      const { rows } = yield* mustHold(yield* processes.history, { complete: true })
      assert.strictEqual(rows, 10_000)
      assert.isAbove(proxy.stats.cuts, 100)
      tell("cut acknowledgements", { rows, cuts: proxy.stats.cuts, retries })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("a thousand backends are terminated; no process ends and everything acknowledged is stored (F-03, G13)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const processes = yield* Processes.make
      const workers = yield* Effect.forEach(["a", "b"], (name) => processes.worker({ name, url: appUrl }), {
        concurrency: "unbounded"
      })
      const writing = yield* Effect.forkChild(
        Effect.forEach(
          workers,
          (worker) => worker.ask({ do: "append", sessions: "c", chains: 3, count: 60_000, fibers: 16, how: "require" }),
          { concurrency: "unbounded" }
        )
      )
      let terminated = 0
      while (terminated < 1000) {
        yield* Effect.sleep("30 millis")
        const [row] = yield* admin(
          "SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        terminated += Number(row?.[0])
      }
      const answers = yield* Fiber.join(writing)
      const { rows } = yield* mustHold(yield* processes.history, { complete: true })
      tell("terminated backends", {
        terminated,
        rows,
        retries: answers.reduce((sum, { retries }) => sum + retries, 0),
        latencyUs: spread(answers.flatMap(({ latenciesUs }) => latenciesUs))
      })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("a migration is cut at every statement, and completed by the next one (F-15)", () =>
    Effect.gen(function* () {
      let nth = 1
      while (yield* Effect.provide(cutAt(nth), emptyDatabase, { local: true })) nth++
      tell("cut migrations", { statements: nth - 1 })
      assert.isAbove(nth, 10)
    })
  )

  it.live(
    "20 processes start at once where 20 connections are allowed: all are up within a minute, none ends, nothing logged is lost (R-02, INV-1)",
    () =>
      Effect.gen(function* () {
        const { appRole, appUrl } = yield* TestDatabase
        yield* admin(`ALTER ROLE ${appRole} CONNECTION LIMIT 20`)
        const processes = yield* Processes.make
        const began = performance.now()
        const seconds = () => (performance.now() - began) / 1000
        const workers = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => `storm-${i}`),
          (name) => processes.worker({ name, url: appUrl }),
          { concurrency: "unbounded" }
        )
        const startedSeconds = seconds()
        assert.isBelow(startedSeconds, 60)
        yield* Effect.forEach(
          workers,
          (worker) => worker.ask({ do: "append", sessions: "c", chains: 3, count: 20, fibers: 4, how: "log" }),
          { concurrency: "unbounded" }
        )
        const answeredSeconds = seconds()
        const waiting = Effect.forEach(workers, (worker) =>
          Effect.map(worker.ask({ do: "stats" }), (stats) => stats.waiting)
        )
        // Each process keeps what it has opened: together they want more than there is, and some wait.
        const starved = (yield* waiting).filter((count) => count > 0).length
        yield* admin(`ALTER ROLE ${appRole} CONNECTION LIMIT -1`)
        for (let i = 0; i < 300 && (yield* waiting).some((count) => count > 0); i++) yield* Effect.sleep("100 millis")
        tell("connection storm", {
          processes: workers.length,
          startedSeconds,
          answeredSeconds,
          starved,
          allStoredSeconds: seconds()
        })
        const { rows } = yield* mustHold(yield* processes.history, { complete: true })
        assert.strictEqual(rows, 400)
      }).pipe(Effect.scoped, Effect.provide(PostgresServer.layer(), { local: true }))
  )
})
