import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { spread, tell } from "./Facts.ts"
import * as PostgresServer from "./PostgresServer.ts"
import * as Processes from "./Processes.ts"
import { mustHold } from "./Truth.ts"
import { writeThrough } from "./WritersUnderFire.ts"

describe("writers that die, at length", () => {
  it.live(
    "200,000 acknowledged appends of 4 processes on one chain, with kills and one immediate stop (F-01, F-02, G1, G2)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const server = yield* PostgresServer.PostgresServer
        const processes = yield* Processes.make
        const run = yield* writeThrough(processes, {
          url: appUrl,
          writers: 4,
          count: 50_000,
          fibers: 64,
          chains: 1,
          during: ({ killOne }) =>
            Effect.gen(function* () {
              for (let i = 0; i < 6; i++) {
                yield* Effect.sleep("1500 millis")
                yield* killOne
                if (i !== 2) continue
                yield* Effect.sleep("1 second")
                yield* server.stop("immediate")
                yield* server.start
              }
            })
        })
        assert.isAtLeast(run.acknowledged, 200_000)
        const { rows } = yield* mustHold(yield* processes.history, { complete: true })
        const { latenciesUs, ...rest } = run
        tell("writers under fire", { ...rest, rows, perSecond: rows / run.seconds, latencyUs: spread(latenciesUs) })
      }).pipe(Effect.scoped, Effect.provide(PostgresServer.layer(), { local: true }))
  )

  it.live("60 kills of writers with -9, one after another (F-01, G1)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const processes = yield* Processes.make
      const run = yield* writeThrough(processes, {
        url: appUrl,
        writers: 3,
        count: 30_000,
        fibers: 8,
        chains: 5,
        during: ({ killOne }) =>
          Effect.gen(function* () {
            for (let i = 0; i < 60; i++) {
              yield* Effect.sleep(300 + Math.random() * 500)
              yield* killOne
            }
          })
      })
      const { rows } = yield* mustHold(yield* processes.history, { complete: true })
      assert.strictEqual(run.kills, 60)
      tell("kills of writers", { kills: run.kills, rows, retries: run.retries, seconds: run.seconds })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("12 immediate stops and 8 kills of the postmaster under load (F-02, G1)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const server = yield* PostgresServer.PostgresServer
      const processes = yield* Processes.make
      let stops = 0
      const run = yield* writeThrough(processes, {
        url: appUrl,
        writers: 2,
        count: 20_000,
        fibers: 16,
        chains: 5,
        during: () =>
          Effect.gen(function* () {
            for (; stops < 20; stops++) {
              yield* Effect.sleep(300 + Math.random() * 700)
              yield* server.stop(stops % 5 < 3 ? "immediate" : "kill")
              yield* server.start
            }
          })
      })
      const { rows } = yield* mustHold(yield* processes.history, { complete: true })
      tell("stops of the database", { stops, rows, retries: run.retries, seconds: run.seconds })
    }).pipe(Effect.scoped, Effect.provide(PostgresServer.layer(), { local: true }))
  )
})
