import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import * as PostgresServer from "./PostgresServer.ts"
import * as Processes from "./Processes.ts"
import { mustHold, storedRows } from "./Truth.ts"
import { until } from "./Waiting.ts"
import { writeThrough } from "./WritersUnderFire.ts"

describe("writers that die, on one chain", () => {
  it.live(
    "kill -9 of one of three writers, twice: no fork, no gap, what was acknowledged is stored (F-01, AUD-02, G1)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const processes = yield* Processes.make
        const { acknowledged } = yield* writeThrough(processes, {
          url: appUrl,
          writers: 3,
          count: 1500,
          fibers: 32,
          chains: 1,
          during: (alive) =>
            Effect.gen(function* () {
              for (let i = 0; i < 2; i++) {
                yield* Effect.sleep("250 millis")
                yield* alive.killOne
              }
            })
        })
        assert.isAtLeast(acknowledged, 3 * 1500)
        yield* mustHold(yield* processes.history, { complete: true })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "the database is stopped at once, and its postmaster killed: nothing acknowledged is lost, nothing is written twice (F-02, G1)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const server = yield* PostgresServer.PostgresServer
        const processes = yield* Processes.make
        yield* writeThrough(processes, {
          url: appUrl,
          writers: 2,
          count: 2500,
          fibers: 32,
          chains: 3,
          during: () =>
            Effect.gen(function* () {
              for (const how of ["immediate", "kill"] as const) {
                yield* Effect.sleep("300 millis")
                yield* server.stop(how)
                yield* server.start
              }
            })
        })
        yield* mustHold(yield* processes.history, { complete: true })
      }).pipe(Effect.scoped, Effect.provide(PostgresServer.layer(), { local: true })),
    60_000
  )

  it.live("a heap limit of 64 MB kills a writer in mid-flight and leaves nothing broken (F-19)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const processes = yield* Processes.make
      const writer = yield* processes.worker({
        name: "thin",
        url: appUrl,
        execArgv: ["--max-old-space-size=64"]
      })
      const writing = yield* Effect.forkChild(
        Effect.exit(writer.ask({ do: "append", sessions: "c", chains: 1, count: 100_000, fibers: 64, how: "require" }))
      )
      yield* until(Effect.map(storedRows, (rows) => rows.length > 0))
      yield* Effect.exit(writer.ask({ do: "exhaust" }))
      const { signal } = yield* writer.exited
      assert.strictEqual(signal, "SIGABRT")
      assert.include(writer.said(), "heap out of memory")
      yield* Fiber.join(writing)
      const { rows } = yield* mustHold(yield* processes.history, { complete: true })
      assert.isAbove(rows, 0)
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
