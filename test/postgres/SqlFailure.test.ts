import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { bounded } from "../../src/layers/postgres/Deadline.ts"
import {
  isTransient,
  isUniqueViolation,
  isUnknownOutcome,
  problemOf,
  sqlState,
  toStoreError,
  undie
} from "../../src/layers/postgres/SqlFailure.ts"
import { emptyDatabase, layerSql } from "../support/database.ts"

const inEmpty = Effect.provide(Layer.provideMerge(layerSql("admin"), emptyDatabase), { local: true })
const raise = (code: string) =>
  SqlClient.SqlClient.use((sql) =>
    Effect.flip(sql.unsafe(`DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '${code}'; END $$`).unprepared)
  )

// [code, may be tried again, may have been committed, what a caller is told]
const table: ReadonlyArray<readonly [string, boolean, boolean, string]> = [
  ["40001", true, false, "overload"],
  ["40P01", true, false, "overload"],
  ["40003", false, true, "refused"],
  ["55P03", true, false, "deadline"],
  ["57014", false, false, "deadline"],
  ["57P01", true, true, "unreachable"],
  ["57P02", true, true, "unreachable"],
  ["57P03", true, true, "unreachable"],
  ["53300", true, false, "overload"],
  ["53200", true, false, "overload"],
  ["53100", false, false, "refused"],
  ["08006", true, true, "unreachable"],
  ["XX000", true, true, "refused"],
  ["25006", true, false, "refused"],
  ["26000", true, false, "refused"],
  ["25P02", true, false, "refused"],
  ["28P01", false, false, "unreachable"],
  ["42501", false, false, "refused"],
  ["42P01", false, false, "refused"],
  ["22021", false, false, "refused"],
  ["23514", false, false, "refused"],
  ["23505", false, false, "refused"],
  ["GV001", false, false, "integrity"],
  ["GV002", false, false, "integrity"],
  ["GV003", false, false, "refused"],
  ["XX001", false, false, "integrity"],
  ["P0001", false, false, "refused"]
]

describe("the classification of SQL errors", () => {
  it.live("says of each SQLSTATE what to do (F-11, F-04)", () =>
    Effect.gen(function* () {
      for (const [code, transient, unknown, problem] of table) {
        const error = yield* raise(code)
        assert.deepStrictEqual(
          [sqlState(error), isTransient(error), isUnknownOutcome(error), problemOf(error)],
          [code, transient, unknown, problem],
          code
        )
      }
    }).pipe(inEmpty)
  )

  it.live("tells unique constraints apart, and a broken chain is an integrity error (DEC-05)", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE governance_audit_events (id int PRIMARY KEY, other int CONSTRAINT once UNIQUE)`
      yield* sql`INSERT INTO governance_audit_events VALUES (1, 1)`
      const first = yield* Effect.flip(sql`INSERT INTO governance_audit_events VALUES (1, 2)`)
      const second = yield* Effect.flip(sql`INSERT INTO governance_audit_events VALUES (2, 1)`)
      assert.deepStrictEqual([problemOf(first), problemOf(second)], ["integrity", "refused"])
      assert.deepStrictEqual([isUniqueViolation(first, "once"), isUniqueViolation(second, "once")], [false, true])
    }).pipe(inEmpty)
  )

  it.live("a connection lost inside a transaction is a failure, with an unknown outcome (F-03)", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const body = Effect.gen(function* () {
        const [row] = yield* sql.unsafe("SELECT pg_backend_pid()").values
        yield* Effect.provide(
          SqlClient.SqlClient.use((other) => other.unsafe("SELECT pg_terminate_backend($1)", [row?.[0]])),
          layerSql("admin"),
          { local: true }
        )
        yield* Effect.sleep("50 millis")
        yield* sql`SELECT 1`
      })
      const error = yield* Effect.flip(undie(sql.withTransaction(body)))
      assert.isTrue(isUnknownOutcome(error as SqlError))
      const other = yield* Effect.exit(undie(Effect.die("another defect")))
      assert.isTrue(Exit.hasDies(other))
    }).pipe(inEmpty)
  )

  it("what the driver said never shows in the store's error (design 3.3)", () => {
    const cause = new Error("password=hunter2")
    const error = toStoreError(
      "AuditStore",
      "append"
    )(new SqlError({ reason: new ConnectionError({ cause, message: "x", operation: "y" }) }))
    assert.strictEqual(error.problem, "unreachable")
    assert.notInclude(JSON.stringify(error) + String(error), "hunter2")
    assert.isDefined(error.detail)
  })
})

describe("bounded", () => {
  it.live("answers at the deadline without waiting for what it gives up, which is interrupted (R-01, F-06)", () =>
    Effect.gen(function* () {
      let interrupted = false
      const stubborn = Effect.onInterrupt(Effect.never, () =>
        Effect.andThen(
          Effect.sleep("300 millis"),
          Effect.sync(() => {
            interrupted = true
          })
        )
      )
      const error = yield* Effect.flip(bounded(stubborn, "20 millis", () => "late"))
      assert.deepStrictEqual([error, interrupted], ["late", false])
      yield* Effect.sleep("400 millis")
      assert.isTrue(interrupted)
    })
  )

  it.effect("hands results, failures and defects through", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* bounded(Effect.succeed(1), "1 minute", () => "late"), 1)
      assert.strictEqual(yield* Effect.flip(bounded(Effect.fail("no"), "1 minute", () => "late")), "no")
      assert.isTrue(Exit.hasDies(yield* Effect.exit(bounded(Effect.die("x"), "1 minute", () => "late"))))
    })
  )
})
