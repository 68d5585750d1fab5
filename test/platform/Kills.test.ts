import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as PlatformStores from "../../src/layers/PlatformStores.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as PostgresServer from "../faults/PostgresServer.ts"
import { layerSql, TestDatabase } from "../support/database.ts"
import { platformOver, tenant } from "./Serving.ts"
import { schema, stores } from "./Stores.ts"
import { newSeen, sendAll, senders } from "./Storm.ts"

/** A platform on a Postgres that may be killed. */
const mortal = platformOver(
  stores.pipe(
    Layer.provide(
      Layer.unwrap(
        Effect.gen(function* () {
          const { appRole, appUrl } = yield* TestDatabase
          yield* Effect.provide(PlatformStores.migrate({ appRole }), layerSql("owner"), { local: true })
          return Database.layerFromUrl(appUrl, { schema })
        })
      )
    )
  )
).pipe(Layer.provideMerge(PostgresServer.layer()))

const operator = (text: string, params: ReadonlyArray<unknown>) =>
  SqlClient.SqlClient.use((sql) => sql.unsafe(text, params).values).pipe(
    Effect.provide(layerSql("admin"), { local: true })
  )

layer(mortal, { excludeTestServices: true, timeout: "300 seconds" })("A platform whose Postgres is killed", (it) => {
  it.effect(
    "has stored what it has acknowledged, and nothing twice, over kill -9 under load (P-07, P-01, I3)",
    () =>
      Effect.gen(function* () {
        const server = yield* PostgresServer.PostgresServer
        const { token, workflow, workspace } = yield* tenant()
        const seen = newSeen()
        const all = senders(6, 90, () => token)
        const sending = yield* Effect.forkChild(
          Effect.forEach(all, (one) => sendAll(one, seen, 3), { concurrency: "unbounded", discard: true })
        )
        for (const [kill, stop] of (["kill", "kill"] as const).entries()) {
          // In the middle of it: so many more have been acknowledged since the last time.
          const before = seen.acknowledged.size
          for (let tries = 0; seen.acknowledged.size < before + 120 && tries < 2_000; tries++) yield* Effect.sleep(5)
          assert.isAtLeast(seen.acknowledged.size, before + 120, `kill ${kill}`)
          yield* server.stop(stop)
          yield* server.start
        }
        yield* Fiber.join(sending)

        const rows = yield* operator(
          "SELECT event, position, instance, seq FROM governance_platform.governance_events WHERE workspace = $1 AND workflow = $2 ORDER BY position",
          [workspace, workflow]
        )
        const wanted = all.flatMap(({ events }) => events)
        assert.strictEqual(seen.acknowledged.size, wanted.length)
        assert.deepStrictEqual(new Set(rows.map(([event]) => String(event))), new Set(wanted))
        assert.deepStrictEqual(
          rows.map(([, position]) => Number(position)),
          wanted.map((_, index) => index + 1)
        )
        for (const { events, instance } of all) {
          const own = rows.filter((row) => row[2] === instance)
          assert.deepStrictEqual(
            own.map(([event]) => String(event)),
            events
          )
        }
        // The kills were felt, or this has shown nothing.
        assert.isAbove((seen.statuses.get(503) ?? 0) + (seen.statuses.get(0) ?? 0), 0)
      }),
    240_000
  )

  it.effect("is told to write before it answers, also where the server's default is to answer first (P-07)", () =>
    Effect.gen(function* () {
      const { workflow, workspace } = yield* tenant()
      const empty = "'{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'"
      const setting = yield* SqlClient.SqlClient.use((sql) =>
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql.unsafe("SET LOCAL synchronous_commit = off").values
            yield* sql.unsafe(
              `SELECT r_outcome FROM governance_platform.governance_ingest_within($1, $2, '-', 0, ${empty})`,
              [workspace, workflow]
            ).values
            return yield* sql.unsafe("SELECT current_setting('synchronous_commit')").values
          })
        )
      ).pipe(Effect.provide(layerSql("app"), { local: true }))
      assert.deepStrictEqual(setting, [["on"]])
    })
  )
})
