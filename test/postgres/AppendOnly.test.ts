import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as AppendOnly from "../../src/layers/postgres/AppendOnly.ts"
import type { ChainBatch } from "../../src/layers/postgres/AuditStatements.ts"
import { examine } from "../../src/layers/postgres/Doctor.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import { genesis, headOf } from "../../src/schema/Chain.ts"
import type { ChainHead, ChainRow } from "../../src/schema/Envelope.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { callAppend, chainNamed, draft, inspect, sealAll } from "./AuditRows.ts"

const run = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).unprepared)
const code = (text: string) => Effect.map(Effect.flip(run(text)), sqlState)
const as = (role: "owner" | "app" | "admin") => Effect.provide(layerSql(role), { local: true })
const inFresh = Effect.provide(freshDatabase, { local: true })

const batch = (rows: ReadonlyArray<ChainRow>, from: ChainHead = genesis, to = headOf(rows.at(-1)!)): ChainBatch => ({
  chain: rows[0]!.chain,
  from,
  to,
  rows
})
const three = (name: string) => sealAll([draft(name), draft(name), draft(name)])
const stored = (name: string) => Effect.tap(Effect.succeed(three(name)), (rows) => callAppend([batch(rows)]))

const events = "governance_audit_events"
const changes = [
  `UPDATE ${events} SET kind = 'x'`,
  `DELETE FROM ${events}`,
  `TRUNCATE ${events}`,
  `INSERT INTO ${events} SELECT * FROM ${events} ON CONFLICT (chain, seq) DO UPDATE SET kind = 'x'`,
  `MERGE INTO ${events} e USING ${events} s ON e.chain = s.chain AND e.seq = s.seq WHEN MATCHED THEN UPDATE SET kind = 'x'`
]
const appOnly = [
  `INSERT INTO ${events} SELECT * FROM ${events} LIMIT 0`,
  `ALTER TABLE ${events} DISABLE TRIGGER ALL`,
  `DROP TABLE ${events}`,
  `DROP TRIGGER governance_append_only_row ON ${events}`,
  `CREATE TRIGGER t BEFORE INSERT ON ${events} EXECUTE FUNCTION governance_refuse_change()`,
  "INSERT INTO governance_audit_chain_heads (chain, seq, at_ms, prev_seq, moved_at) VALUES ('operator', 0, 0, 0, now())",
  "UPDATE governance_audit_chain_heads SET seq = 9",
  "DELETE FROM governance_audit_chain_heads",
  "TRUNCATE governance_audit_chain_heads",
  "SELECT 1 FROM governance_audit_chain_heads FOR UPDATE",
  "UPDATE governance_meta SET value = 'x'",
  "DELETE FROM governance_migrations",
  "CREATE TABLE governance_mine (id int)",
  `CREATE OR REPLACE FUNCTION governance_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
  "ALTER FUNCTION governance_lock_heads(text, text[]) SECURITY INVOKER",
  "SET session_replication_role = replica"
]

describe("the audit table", () => {
  it.live("lets the runtime role do nothing but read and append (AUD-17, A-17, DEC-16)", () =>
    Effect.gen(function* () {
      yield* as("app")(stored("one"))
      for (const statement of [...changes, ...appOnly]) {
        assert.strictEqual(yield* as("app")(code(statement)), "42501", statement)
      }
      const { rows, problems } = yield* as("app")(inspect)
      assert.deepStrictEqual([rows.length, problems], [3, []])
    }).pipe(inFresh)
  )

  it.live("refuses every change by its owner and by a superuser, in replica mode too (A-18, A-19)", () =>
    Effect.gen(function* () {
      yield* as("app")(stored("one"))
      for (const statement of changes) {
        assert.strictEqual(yield* as("owner")(code(statement)), "GV003", statement)
        const replica = SqlClient.SqlClient.use((sql) =>
          sql.withTransaction(Effect.andThen(run("SET LOCAL session_replication_role = replica"), code(statement)))
        )
        const seen = yield* as("admin")(Effect.catch(replica, () => code(statement)))
        assert.strictEqual(seen, "GV003", `replica: ${statement}`)
      }
      const { rows, problems } = yield* as("owner")(inspect)
      assert.deepStrictEqual([rows.length, problems], [3, []])
    }).pipe(inFresh)
  )

  it.live("the append function takes only rows that continue the true head (A-07, A-21)", () =>
    Effect.gen(function* () {
      const rows = yield* stored("one")
      const head = headOf(rows[2]!)
      const [fourth, fifth] = sealAll([draft("one"), draft("one")], head)
      const other = sealAll([draft("one")], { ...head, hash: new Uint8Array(32).fill(9) })
      const ahead = sealAll([draft("one")], { ...head, seq: 9 })
      const fresh = three("two")
      const GV001: ReadonlyArray<readonly [string, ReadonlyArray<ChainBatch>]> = [
        ["a number skipped after the head", [batch([fifth!], head)]],
        ["a number skipped between two rows", [batch([fourth!, { ...fifth!, seq: 6 }], head)]],
        ["a wrong link between two rows", [batch([fourth!, { ...fifth!, prev: new Uint8Array(32) }], head)]],
        ["a wrong link to the head", [batch([other[0]!], head)]],
        [
          "a head with another hash than its last row",
          [batch([fourth!], head, { ...headOf(fourth!), hash: new Uint8Array(32) })]
        ],
        ["a head beyond its last row", [batch([fourth!], head, { ...headOf(fourth!), seq: 7 })]],
        [
          "a head without rows",
          [batch([fourth!], head), { chain: chainNamed("two"), from: genesis, to: head, rows: [] }]
        ],
        ["rows without a head", [batch([...[fourth!], ...fresh], head, headOf(fourth!))]],
        ["a chain that does not begin at 1", [batch(sealAll([draft("two")], head))]],
        ["time that runs backwards", [batch([fourth!, { ...fifth!, atMs: fourth!.atMs - 1 }], head)]]
      ]
      for (const [name, batches] of GV001) {
        assert.strictEqual(sqlState(yield* Effect.flip(callAppend(batches))), "GV001", name)
      }
      assert.deepStrictEqual(yield* callAppend([batch(other, { ...head, hash: new Uint8Array(32).fill(9) })]), [])
      assert.deepStrictEqual(yield* callAppend([batch(ahead, { ...head, seq: 9 })]), [])
      assert.deepStrictEqual(yield* callAppend([batch(three("one"))]), [])
      assert.strictEqual(
        sqlState(yield* Effect.flip(callAppend([batch(sealAll([draft("two")], head), head)]))),
        "GV002"
      )
      assert.deepStrictEqual(yield* callAppend([batch([fourth!, fifth!], head)]), [chainNamed("one")])
      const { rows: all, problems } = yield* inspect
      assert.deepStrictEqual([all.length, problems], [5, []])
    }).pipe(Effect.provide(layerSql("app"), { local: true }), inFresh)
  )

  it.live("more than 16 chains at once swap the same way, and a lost head is noticed (A-07, A-21)", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 40 }, (_, n) => `c${n}`)
      const first = names.map((name) => batch(three(name)))
      assert.lengthOf(Array.from((yield* callAppend(first)) as Iterable<string>), 40)
      const next = first.map((each) => batch(sealAll([draft(each.chain.slice(8))], each.to), each.to))
      const stale = next.map((each, n) => (n % 2 === 0 ? each : batch(sealAll([draft(each.chain.slice(8))]))))
      assert.lengthOf(Array.from((yield* callAppend(stale)) as Iterable<string>), 20)
      const lost = [
        ...next.filter((_, n) => n % 2 === 1),
        batch(sealAll([draft("gone")], next[0]!.from), next[0]!.from)
      ]
      assert.strictEqual(sqlState(yield* Effect.flip(callAppend(lost))), "GV002")
      const { rows, problems } = yield* inspect
      assert.deepStrictEqual([rows.length, problems], [140, []])
    }).pipe(Effect.provide(layerSql("app"), { local: true }), inFresh)
  )

  it.live("the same id twice in a chain is a unique violation, in another chain it is not (DEC-05)", () =>
    Effect.gen(function* () {
      const rows = yield* stored("one")
      const again = sealAll([draft("one", { id: rows[0]!.id })], headOf(rows[2]!))
      const error = yield* Effect.flip(callAppend([batch(again, headOf(rows[2]!))]))
      assert.strictEqual(
        error.reason._tag === "UniqueViolation" ? error.reason.constraint : error.reason._tag,
        "governance_audit_events_once"
      )
      yield* callAppend([batch(sealAll([draft("two", { id: rows[0]!.id })]))])
    }).pipe(Effect.provide(layerSql("app"), { local: true }), inFresh)
  )

  it.live("the views show fields out of the canonical text and never fail on a row (PRS-14, DEC-04)", () =>
    Effect.gen(function* () {
      const kinds = ["agent.killed", "agent.halted", "tool.call"]
      const rows = sealAll(kinds.map((kind) => draft("one", { kind, model: "gpt", metadataText: '{"a":"x"}' })))
      yield* as("app")(callAppend([batch(rows)]))
      // The writer escapes what Postgres cannot show as text; a forged row does not.
      const garbage = batch(sealAll([draft("two")]).map((row) => ({ ...row, canonical: '{"model":"\\u0000"}' })))
      yield* as("app")(callAppend([garbage]))
      const log = yield* as("app")(
        SqlClient.SqlClient.use(
          (sql) => sql.unsafe("SELECT kind, model, metadata::text FROM governance_audit_log ORDER BY chain, seq").values
        )
      )
      assert.deepStrictEqual(log.at(-1), ["tool.call", null, null])
      assert.deepStrictEqual(log[0], ["agent.killed", "gpt", '{"a":"x"}'])
      const halted = yield* as("app")(
        SqlClient.SqlClient.use(
          (sql) => sql.unsafe("SELECT kind FROM governance_audit_events_halted ORDER BY seq").values
        )
      )
      assert.deepStrictEqual(halted, [["agent.killed"], ["agent.halted"]])
    }).pipe(inFresh)
  )
})

describe("doctor", () => {
  const failing = Effect.map(examine(), (found) =>
    found.filter((each) => each.status === "fail").map((each) => each.check)
  )

  it.live("finds nothing wrong for the runtime role, and warns the owner (A-17, F-12, H-12)", () =>
    Effect.gen(function* () {
      const app = yield* as("app")(examine())
      assert.deepStrictEqual(
        app.filter((each) => each.status === "fail"),
        []
      )
      for (const check of [
        "migrations",
        "append-only triggers",
        "tables",
        "rights",
        "functions",
        "role",
        "durability",
        "primary"
      ]) {
        assert.isTrue(
          app.some((each) => each.check === check),
          check
        )
      }
      const owner = yield* as("owner")(examine())
      assert.deepStrictEqual(
        owner.filter((each) => each.status === "warn" && each.check !== "durability").map((each) => each.check),
        ["rights", "role"]
      )
    }).pipe(inFresh)
  )

  const drifts: ReadonlyArray<readonly [string, string, string]> = [
    [
      "a trigger that is off",
      `ALTER TABLE ${events} DISABLE TRIGGER governance_append_only_row`,
      "append-only triggers"
    ],
    [
      "a trigger that is not ALWAYS",
      `ALTER TABLE ${events} ENABLE TRIGGER governance_append_only_truncate`,
      "append-only triggers"
    ],
    ["a trigger that is gone", `DROP TRIGGER governance_append_only_truncate ON ${events}`, "append-only triggers"],
    [
      "a checkpoint table whose trigger is off",
      "ALTER TABLE governance_checkpoint_leaves DISABLE TRIGGER governance_append_only_row",
      "append-only triggers"
    ],
    ["an unlogged table", "ALTER TABLE governance_audit_chain_heads SET UNLOGGED", "tables"],
    ["an append function without its search_path", "ALTER FUNCTION governance_append_many RESET ALL", "functions"],
    [
      "an append function that everybody may call",
      "GRANT EXECUTE ON FUNCTION governance_append_many TO PUBLIC",
      "functions"
    ]
  ]
  for (const [name, drift, check] of drifts) {
    it.live(`finds ${name} (A-19, A-20, F-12)`, () =>
      Effect.gen(function* () {
        yield* as("owner")(run(drift))
        assert.include(yield* as("app")(failing), check)
      }).pipe(inFresh)
    )
  }

  it.live("knows every table whose rows nobody may change, and names each whose trigger is off (A-18, A-19)", () =>
    Effect.gen(function* () {
      const found = yield* as("owner")(
        SqlClient.SqlClient.use((sql) => sql.unsafe(AppendOnly.triggersQuery, ["public"]).values)
      )
      assert.deepStrictEqual(
        found,
        AppendOnly.appendOnlyTables.flatMap((table) => [
          [table, "governance_append_only_row", "A"],
          [table, "governance_append_only_truncate", "A"]
        ])
      )
      for (const table of AppendOnly.appendOnlyTables) {
        yield* as("owner")(run(`ALTER TABLE ${table} DISABLE TRIGGER governance_append_only_truncate`))
      }
      const named = (yield* as("app")(examine())).filter((each) => each.status === "fail")
      assert.deepStrictEqual(
        named.map(({ message }) => message),
        AppendOnly.appendOnlyTables.map(
          (table) => `governance_append_only_truncate of ${table} is not ENABLE ALWAYS (D)`
        )
      )
    }).pipe(inFresh)
  )

  it.live("finds a right that the runtime role should not have (A-17)", () =>
    Effect.gen(function* () {
      const { appRole } = yield* TestDatabase
      yield* as("owner")(run(`GRANT DELETE ON ${events} TO "${appRole}"`))
      const rights = (yield* as("app")(examine())).find((each) => each.check === "rights")
      assert.strictEqual(rights?.status, "warn")
      assert.include(rights?.message, "DELETE")
    }).pipe(inFresh)
  )
})
