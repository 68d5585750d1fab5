import { Effect, Layer, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as Memory from "../../src/layers/Memory.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { GateStore } from "../../src/services/GateStore.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { suite } from "./ErasureSuite.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: unknown) => JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(one) : one))

suite(
  "memory",
  Memory.layer({ warnOnNoWrappers: false, enableScope: false }),
  Effect.gen(function* () {
    const store = yield* AuditStore
    const presence = yield* PresenceStore
    const gates = yield* Effect.flatMap(GateStore, (store) => store.list({ agentId: null, which: "all", limit: 1000 }))
    const tickets = yield* Effect.flatMap(AdmissionStore, (store) => store.expired(1000))
    const heads = yield* store.heads(null, 1000)
    const rows = yield* Effect.forEach(heads, ({ chain }) => Stream.runCollect(store.rows(chain)))
    return [
      { name: "log", bytes: bytes(JSON.stringify(rows)) },
      { name: "governance_gates", bytes: bytes(JSON.stringify(gates)) },
      { name: "governance_tickets", bytes: bytes(text(tickets)) },
      { name: "presence", bytes: bytes(JSON.stringify(yield* presence.list)) }
    ]
  })
)

const owner = Layer.unwrap(
  Effect.map(TestDatabase, ({ ownerUrl }) =>
    Postgres.layer({ databaseUrl: ownerUrl, testMode: true, warnOnNoWrappers: false, enableScope: false })
  )
)

/** Every row of every table, as text. */
const tables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const names = (yield* sql.unsafe(
    "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
  ).values).map(([name]) => String(name))
  return yield* Effect.forEach(names, (name) =>
    Effect.map(sql.unsafe(`SELECT t::text FROM ${name} t`).values, (rows) => ({
      name,
      bytes: bytes(rows.map(String).join("\n"))
    }))
  )
})

suite("Postgres", Layer.merge(owner, layerSql("owner")).pipe(Layer.provide(freshDatabase)), tables)
