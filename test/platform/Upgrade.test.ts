import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { migrate } from "../../src/layers/postgres/Migrations.ts"
import { platformMigrationFiles } from "../../src/layers/postgres/platformMigrations.generated.ts"
import { layerSql } from "../support/database.ts"
import { generousPlatform, send, tenant } from "./Serving.ts"
import { schema } from "./Stores.ts"
import { newSeen, sendAll, senders } from "./Storm.ts"

const later = "2126-01-01T00:00:00.000Z"
const request = "0f8fad5b-d9cb-469f-a165-70867728950e"
const hash = "ab".repeat(32)
const event = (seq: number, more: object = {}) => ({
  seq,
  event_id: globalThis.crypto.randomUUID(),
  event_type: "tool.call",
  agent_id: "clerk",
  session_id: null,
  created_at: "2026-01-01T00:00:00.000Z",
  metadata: { a: 1 },
  sdk_version: "0.0.1",
  ...more
})

/**
 * What bridges of 0.1 say and what they were answered, written down by hand: this table only grows. A server that changes what
 * stands in it breaks everybody who has not updated.
 */
const pack: ReadonlyArray<readonly ["GET" | "POST", string, unknown, number, object]> = [
  ["POST", "/ingest/events", event(1), 200, { accepted: 1, duplicates: 0, expected_seq: 2 }],
  [
    "POST",
    "/ingest/events/batch",
    { events: [event(2), event(3)] },
    200,
    { accepted: 2, duplicates: 0, expected_seq: 4 }
  ],
  ["POST", "/ingest/events", event(9), 409, { error: "seq_out_of_order", expected_seq: 4 }],
  // Of a bridge that is newer than the server.
  [
    "POST",
    "/ingest/events",
    event(4, { trace_id: "x", cost: { usd: 1 } }),
    200,
    { accepted: 1, duplicates: 0, expected_seq: 5 }
  ],
  [
    "POST",
    "/bridge/gates",
    {
      request_id: request,
      agent_id: "clerk",
      kind: "refund",
      action_hash: hash,
      expires_at: later,
      sdk_version: "0.0.1"
    },
    200,
    { status: "pending", resolved_at: null, action_hash: hash }
  ],
  [
    "POST",
    "/bridge/gates",
    {
      request_id: request,
      agent_id: "clerk",
      kind: "refund",
      action_hash: hash,
      expires_at: later,
      sdk_version: "0.0.1",
      urgency: 3
    },
    200,
    { status: "pending" }
  ],
  ["GET", `/bridge/gates/${request}/resolution`, undefined, 200, { status: "pending", resolved_at: null }],
  [
    "POST",
    `/bridge/gates/${request}/resolution`,
    { status: "granted", resolved_at: "2026-01-02T00:00:00.000Z" },
    200,
    { status: "granted", resolved_at: "2026-01-02T00:00:00.000Z" }
  ]
]

layer(generousPlatform, { excludeTestServices: true, timeout: "240 seconds" })(
  "The platform under bridges of other versions",
  (it) => {
    it.effect(
      "answers them as it always has, without the header and with fields that it does not know (P-12, OQ-16)",
      () =>
        Effect.gen(function* () {
          const { token } = yield* tenant()
          for (const [method, path, body, status, answer] of pack) {
            const got = yield* send(method, `/api/v1${path}`, { token, ...(body === undefined ? {} : { body }) })
            assert.strictEqual(got.status, status, `${path} ${JSON.stringify(got.body)}`)
            assert.deepInclude(got.body as object, answer, path)
          }
        })
    )

    it.effect(
      "takes every event while it is migrated behind a transaction that will not end: not one is refused (P-12, DEC-16)",
      () =>
        Effect.gen(function* () {
          const { token } = yield* tenant()
          const seen = newSeen()
          const all = senders(4, 4_000, () => token)
          const sending = yield* Effect.forkChild(
            Effect.forEach(all, (one) => sendAll(one, seen, 2), { concurrency: "unbounded", discard: true })
          )
          const acknowledged = (more: number) =>
            Effect.gen(function* () {
              const wanted = seen.acknowledged.size + more
              for (let tries = 0; seen.acknowledged.size < wanted && tries < 4_000; tries++) yield* Effect.sleep(5)
              assert.isAtLeast(seen.acknowledged.size, wanted)
            })
          const admin = layerSql("admin", { maxConnections: 2 })
          // In the order in which it is most in the way: ingest takes the row of the workflow first.
          const next = {
            id: 9001,
            name: "while_running",
            checksum: "c",
            sql: "ALTER TABLE {{schema}}.governance_events ADD COLUMN governance_later text;\nALTER TABLE {{schema}}.governance_workflows ADD COLUMN governance_later text;"
          }
          const migration = migrate({ schema, files: [...platformMigrationFiles, next] }).pipe(
            Effect.provide(layerSql("owner"), { local: true })
          )
          const waiting = SqlClient.SqlClient.use(
            (sql) =>
              sql.unsafe(
                "SELECT count(*)::int FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
              ).values
          )
          const until = (is: boolean) =>
            Effect.gen(function* () {
              for (let tries = 0; tries < 2_000; tries++) {
                if (Number((yield* waiting)[0]?.[0]) > 0 === is) return
                yield* Effect.sleep(5)
              }
              return yield* Effect.die(new Error(`never ${is ? "waited" : "gave up"}`))
            })

          yield* acknowledged(50)
          const migrating = yield* Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            return yield* sql.withTransaction(
              Effect.gen(function* () {
                yield* sql.unsafe("SELECT count(*) FROM governance_platform.governance_events").values
                const running = yield* Effect.forkDetach(migration)
                // It asks for its lock, gives up after two seconds rather than hold everybody up, and asks again.
                yield* until(true)
                yield* until(false)
                yield* acknowledged(50)
                yield* until(true)
                return running
              })
            )
          }).pipe(Effect.provide(admin, { local: true }))
          assert.deepStrictEqual(yield* Fiber.join(migrating), ["9001_while_running"])
          yield* acknowledged(50)
          yield* Fiber.interrupt(sending)
          assert.deepStrictEqual([...seen.statuses.keys()], [200])
        }),
      240_000
    )
  }
)
