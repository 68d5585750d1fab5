import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { SqlClient } from "effect/sql"
import * as Bridge from "../../src/bridge/Bridge.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { Audit } from "../../src/services/Audit.ts"
import { IngestStore } from "../../src/services/IngestStore.ts"
import { addsUp, stats } from "../bridge/World.ts"
import { layerSql } from "../support/database.ts"
import { platform, send, tenant } from "./Serving.ts"
import { tenantTables as tables } from "./Tenants.ts"
import { newLog } from "./WitnessedLog.ts"

const administer = <A, E>(use: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  SqlClient.SqlClient.use(use).pipe(Effect.provide(layerSql("admin"), { local: true }))

const at = (table: string) => `governance_platform.governance_${table}`

const backUp = administer((sql) =>
  Effect.forEach(tables, (table) => sql.unsafe(`CREATE TABLE backup_${table} AS TABLE ${at(table)}`).values)
)
/** As a server that was put back to its backup: everything since is gone, and nobody was told. */
const restore = administer((sql) =>
  sql.withTransaction(
    Effect.gen(function* () {
      yield* sql.unsafe(`TRUNCATE ${tables.map(at).join(", ")}`).values
      for (const table of tables) yield* sql.unsafe(`INSERT INTO ${at(table)} SELECT * FROM backup_${table}`).values
    })
  )
)

const all = { before: null, after: null, agent: null, session: null, eventType: null, limit: 1_000 }

layer(platform, { excludeTestServices: true, timeout: "120 seconds" })(
  "A platform that was restored from a backup",
  (it) => {
    it.effect(
      "goes on with every bridge after one 409, and asks its witnessed logs to prove themselves again (P-13, P-01, A-06)",
      () =>
        Effect.gen(function* () {
          const port = yield* Effect.map(HttpServer.HttpServer, ({ address }) => ("port" in address ? address.port : 0))
          const { token, workflow, workspace } = yield* tenant()
          const customer = Bridge.layer.pipe(
            Layer.provideMerge(
              Memory.layer({
                warnOnNoWrappers: false,
                platform: {
                  bridgeEnabled: true,
                  outbox: true,
                  ingestUrl: `http://127.0.0.1:${port}/api/v1/ingest/events`,
                  ingestToken: token,
                  trustedHosts: [`127.0.0.1:${port}`]
                }
              })
            )
          )
          const log = newLog()
          const leaves = Array.from({ length: 9 }, (_, index) => log.leaf(index + 1))
          const show = (size: number, from: number) =>
            send("POST", "/api/v1/witness/checkpoints", { token, body: log.shown(leaves.slice(0, size), from) })
          const kept = Effect.map(
            IngestStore.use((store) => store.timeline({ workspace, workflow }, all)),
            (rows) => rows.map(({ event }) => event).toReversed()
          )

          yield* Effect.gen(function* () {
            const audit = yield* Audit
            const write = (count: number) =>
              Effect.forEach(Array.from({ length: count }), (_, i) =>
                Effect.map(audit.log({ kind: "tool.call", agentId: "clerk", metadata: { i } }), ({ id }) => String(id))
              )
            const sent = (count: number) =>
              Effect.gen(function* () {
                for (let tries = 0; (yield* stats).sent < count && tries < 400; tries++) yield* Effect.sleep(50)
                assert.strictEqual((yield* stats).sent, count)
              })
            yield* Effect.sleep("1500 millis")
            const before = yield* write(40)
            yield* sent(40)
            assert.strictEqual((yield* show(4, 0)).status, 200)
            yield* backUp
            yield* write(30)
            yield* sent(70)
            assert.strictEqual((yield* show(7, 4)).status, 200)

            yield* restore
            const after = yield* write(20)
            yield* sent(90)
            // Nothing stands still, nothing is there twice, and the bridge says that it was set back.
            assert.deepStrictEqual(yield* kept, [...before, ...after])
            const counted = yield* stats
            addsUp(counted)
            assert.strictEqual(counted.seqHealed, 1)
            assert.strictEqual(counted.nextSeq, 61)

            // The witness knows less than the deployment: no alarm, but it believes only what is proved from where it is now.
            const stale = yield* show(9, 7)
            assert.deepStrictEqual([stale.status, stale.body], [409, { error: "stale_size", size: 4 }])
            // A log that grew another way is noticed from what the backup held.
            const forked = log.shown([...leaves.slice(0, 3), log.leaf(4, "other")], 0)
            const refused = yield* send("POST", "/api/v1/witness/checkpoints", { token, body: forked })
            assert.deepStrictEqual([refused.status, refused.body], [422, { error: "refused", problem: "forked" }])
            assert.strictEqual((yield* show(9, 4)).status, 200)
          }).pipe(Effect.provide(Layer.fresh(customer), { local: true }))
        }).pipe(Effect.scoped),
      120_000
    )
  }
)
