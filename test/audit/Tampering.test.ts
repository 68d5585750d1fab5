import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { checkRow, labels } from "../../src/schema/Chain.ts"
import { isTampering } from "../../src/schema/ChainReport.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { headerText, lineText, macInput, readSpool, spoolLabel } from "../../src/schema/SpoolText.ts"
import { Audit } from "../../src/services/Audit.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { random } from "../schema/JsonArbitrary.ts"
import { freshDatabase, layerSql } from "../support/database.ts"
import { anyChain } from "./Chains.ts"
import { filled, reading, stored, withoutKeys } from "./StoredChain.ts"
import { drawnFlips, drawnTamperings, flipEveryBit } from "./Tamperings.ts"

// Twelve seconds on an idle machine, and many times that on a busy one.
const patient = 300_000
const onPostgres = Effect.provide(stored.pipe(Layer.provideMerge(freshDatabase)), { local: true })
const admin = (text: string, parameters: ReadonlyArray<unknown> = []) =>
  SqlClient.SqlClient.use((sql) => sql.unsafe(text, parameters).values)
const report = Effect.flatMap(Audit, (audit) => audit.report())

describe("A chain of 50 rows in Postgres (A-01, A-02, G3)", () => {
  it.live(
    "every single bit of every row, flipped, is found there, and without any key unless it is in a proof",
    () =>
      Effect.gen(function* () {
        const rows = yield* filled("s", 50, 1)
        assert.isTrue(rows.some(({ signer }) => signer === null) && rows.some(({ signer }) => signer !== null))
        const { survivors, tried } = yield* flipEveryBit(rows)
        assert.deepStrictEqual(survivors, [])
        assert.isAbove(tried, 400_000)
      }).pipe(onPostgres),
    patient
  )

  it.live(
    "2000 drawn bits are found in the report of the whole chain, at the row they are in (A-01)",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* drawnFlips(2000, 2), [])
      }).pipe(onPostgres),
    patient
  )

  it.live(
    "2000 drawn deletions, reorderings, copies and exchanges are found without any key (A-03, A-04, A-08, A-09)",
    () =>
      Effect.gen(function* () {
        const { kinds, survivors } = yield* drawnTamperings(2000, 3)
        assert.deepStrictEqual(survivors, [])
        assert.strictEqual(kinds, 11)
      }).pipe(onPostgres)
  )

  it.live(
    "every column of the table is covered, the clock of the database aside: a change by SQL is found (A-02)",
    () =>
      Effect.gen(function* () {
        yield* filled("s", 50, 6)
        const columns = (yield* admin(
          `SELECT column_name::text, data_type::text, is_nullable::text FROM information_schema.columns
          WHERE table_schema = 'public' AND table_name = 'governance_audit_events' ORDER BY ordinal_position`
        ).pipe(Effect.provide(layerSql("admin"), { local: true }))) as ReadonlyArray<readonly [string, string, string]>
        assert.strictEqual(columns.length, 16)
        yield* Effect.gen(function* () {
          yield* admin("ALTER TABLE governance_audit_events DISABLE TRIGGER ALL")
          // Whoever owns the table can drop what would refuse a change.
          const checks = yield* admin(
            "SELECT conname::text FROM pg_constraint WHERE conrelid = 'governance_audit_events'::regclass AND contype = 'c'"
          )
          for (const [name] of checks) yield* admin(`ALTER TABLE governance_audit_events DROP CONSTRAINT ${name}`)
          yield* admin("CREATE TABLE saved AS TABLE governance_audit_events")
          const found: Array<string> = []
          let changes = 0
          for (const [column, type, nullable] of columns) {
            for (const change of changesOf(column, type, nullable === "YES")) {
              for (const seq of [1, 25, 26, 50]) {
                const changed = yield* admin(
                  `UPDATE governance_audit_events e SET ${column} = ${change}
                  WHERE e.seq = ${seq} AND e.${column} IS DISTINCT FROM (${change}) RETURNING 1`
                )
                if (changed.length === 0) continue
                changes++
                const judged = { all: yield* report, open: yield* withoutSecret(report) }
                const proved = judged.all.breaks.filter(isTampering).length > 0
                const seen = withoutKeys(judged.open.breaks).length > 0
                if (!proved) found.push(`${column} = ${change}`)
                else if (!seen) found.push(`${column} = ${change}, without the secret`)
                yield* admin("DELETE FROM governance_audit_events")
                yield* admin("INSERT INTO governance_audit_events TABLE saved")
              }
            }
          }
          assert.isAbove(changes, 60)
          assert.deepStrictEqual((yield* report).breaks, [])
          const columnsOf = (entries: ReadonlyArray<string>) => [
            ...new Set(entries.map((entry) => entry.split(" ")[0]))
          ]
          const open = found.filter((entry) => entry.endsWith("without the secret"))
          assert.deepStrictEqual(columnsOf(open), ["hmac"])
          // recorded_at is no evidence and says so in the migration; another signature is for who knows the agent's key to judge.
          const unproved = columnsOf(found.filter((entry) => !open.includes(entry)))
          assert.deepStrictEqual(
            unproved.filter((column) => column !== "signature"),
            ["recorded_at"]
          )
        }).pipe(Effect.provide(layerSql("admin"), { local: true }), Effect.provide(reading, { local: true }))
      }).pipe(onPostgres)
  )
})

describe("A proof made for one purpose (A-11)", () => {
  it.effect("is refused by the verifier of every other: n by n", () =>
    Effect.gen(function* () {
      const chainKeys = yield* ChainKeys.ChainKeys
      const { current, hash, macFor, macOf } = chainKeys
      const [row] = anyChain(random(10), 1)
      const whole: ChainRow = { ...row!, keyId: current.keyId }
      const found = (changed: Partial<ChainRow>) =>
        checkRow({ ...whole, ...changed }, null, {
          hash,
          macFor,
          signature: (_, text, signature) => (Buffer.compare(signature, current.mac(text)) === 0 ? "valid" : "invalid")
        }).map(({ problem }) => problem)
      const header = headerText("instance", current.keyId)
      const first = current.mac(spoolLabel + header)
      const body = '{"footer":0}'
      const spool = (head: Uint8Array, line: Uint8Array) =>
        readSpool(lineText(header, head) + lineText(body, line), macFor).problem === null
      const purposes = ["gate-token", "approval-row", "webhook", "console-session", "audit", "fingerprint"]
      const verifiers: Record<string, { readonly text: string; readonly accepts: (proof: Uint8Array) => boolean }> = {
        "row hash": { text: whole.canonical, accepts: (proof) => !found({ hash: proof }).includes("hash") },
        "row mac": { text: whole.canonical, accepts: (proof) => !found({ hmac: proof }).includes("hmac") },
        "row signature": {
          text: whole.canonical,
          accepts: (proof) => !found({ signer: "a", signature: proof }).includes("signature")
        },
        "spool header": { text: header, accepts: (proof) => spool(proof, current.mac(macInput(first, body))) },
        "spool line": { text: body, accepts: (proof) => spool(first, proof) },
        ...Object.fromEntries(
          purposes.map((purpose) => [
            purpose,
            { text: "token", accepts: (proof: Uint8Array) => Buffer.compare(macOf(purpose)("token"), proof) === 0 }
          ])
        )
      }
      const makers: Record<string, (text: string) => Uint8Array> = {
        "row hash": (text) => hash(labels.hash + text),
        "row mac": (text) => current.mac(labels.mac + text),
        "row signature": (text) => current.mac(labels.signature + text),
        "spool header": (text) => current.mac(spoolLabel + text),
        "spool line": (text) => current.mac(macInput(first, text)),
        ...Object.fromEntries(purposes.map((purpose) => [purpose, (text: string) => macOf(purpose)(text)]))
      }
      assert.deepStrictEqual(Object.keys(makers), Object.keys(verifiers))
      const wrong: Array<string> = []
      for (const [maker, make] of Object.entries(makers)) {
        for (const [verifier, { accepts, text }] of Object.entries(verifiers)) {
          if (accepts(make(text)) !== (maker === verifier)) wrong.push(`${maker} for ${verifier}`)
        }
      }
      assert.deepStrictEqual(wrong, [])
    }).pipe(Effect.provide(ChainKeys.layerTest))
  )
})

/** The same log, read by somebody who has no secret. */
const withoutSecret = Effect.provide(reading.pipe(Layer.provide(Layer.fresh(ChainKeys.layerMemory))), { local: true })

/** Ways to change a column, in SQL. A type that is not listed fails the test: a new column cannot escape. */
const changesOf = (column: string, type: string, nullable: boolean): ReadonlyArray<string> => {
  const changes: Record<string, ReadonlyArray<string>> = {
    text: [
      `coalesce(${column}, '') || 'x'`,
      `overlay(coalesce(${column}, 'y') placing 'z' from 1)`,
      `coalesce(upper(${column}), 'X')`
    ],
    bigint: [`${column} + 1000`, `-${column}`],
    uuid: ["gen_random_uuid()"],
    bytea: [
      `coalesce(set_byte(${column}, 31, get_byte(${column}, 31) # 1), sha256('x'))`,
      `sha256(coalesce(${column}, 'y'))`
    ],
    "timestamp with time zone": [`${column} + interval '1 hour'`]
  }
  const found = changes[type]
  assert.isDefined(found, `${column} is of type ${type}`)
  return nullable ? [...found!, "NULL"] : found!
}
