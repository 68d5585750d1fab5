import { Effect, Result } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { problemOf } from "../../layers/postgres/SqlFailure.ts"
import { ChainIntegrityError } from "../../schema/AuditError.ts"
import type { ChainReport } from "../../schema/ChainReport.ts"
import { Audit } from "../../services/Audit.ts"
import { counted } from "../CliFailure.ts"
import { DemoFailed } from "./DemoFailed.ts"
import { asRole, DemoDatabase } from "./DemoWorld.ts"
import { Screen } from "./Screen.ts"

/** The log is verified and is whole. */
export const verifyScene = Effect.gen(function* () {
  const screen = yield* Screen
  const audit = yield* Audit
  yield* screen.line("  Each conversation is a chain of rows, each sealed with the one before it.")
  const report = yield* audit.report()
  if (report.verdict !== "ok" || report.rows === 0)
    return yield* new DemoFailed({ what: "the untouched log does not verify" })
  yield* screen.marked(
    "ok",
    `${counted(report.rows, "row")} in ${counted(report.chains.length, "chain")}: every row is as it was written`
  )
})

/** Someone edits one row with ever more power, and the verification names exactly that row. */
export const tamperScene = Effect.gen(function* () {
  const screen = yield* Screen
  const audit = yield* Audit
  const { appUrl, ownerUrl, superUrl } = yield* DemoDatabase
  const row = yield* asRole(superUrl)(find)
  yield* screen.line(`  The refund of $30.00 shall look like $3.00: row ${row.seq} of ${row.chain}.`)

  for (const [who, url] of [
    ["the agent's own database user tries", appUrl],
    ["the owner of the table tries", ownerUrl]
  ] as const) {
    const tried = yield* Effect.result(asRole(url)(edit(row)))
    if (Result.isSuccess(tried) || problemOf(tried.failure) !== "refused") {
      return yield* new DemoFailed({ what: `${who} to change the log, and PostgreSQL does not refuse` })
    }
    yield* screen.marked("REFUSED", who)
    yield* screen.because(`PostgreSQL says: ${answerOf(tried.failure)}`)
  }
  yield* asRole(superUrl)(editWithoutTriggers(row))
  yield* screen.line("  A superuser switches the triggers off, edits the row, switches them on again.")
  yield* screen.aside("  Nothing in the database shows it now. Verify again:")
  yield* screen.pause(6)

  const report = yield* audit.report()
  yield* named(report, row)
  yield* screen.marked("TAMPERED", `row ${row.seq} of ${row.chain}`)
  yield* screen.because(new ChainIntegrityError(report.breaks[0] ?? { ...row, problem: "text" }).message)
  yield* screen.because(`The other ${report.rows - 1} rows are as they were written.`)
})

interface Row {
  readonly chain: string
  readonly seq: number
}

const find = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql.unsafe(
    `SELECT chain, seq::int FROM governance_audit_events
     WHERE session = 'order-1003' AND kind = 'tool.result' AND canonical LIKE '%"usd":"30.00"%' ORDER BY seq LIMIT 1`
  ).values
  const [chain, seq] = rows[0] ?? []
  if (typeof chain !== "string" || typeof seq !== "number")
    return yield* new DemoFailed({ what: "the refund is not in the log" })
  const row: Row = { chain, seq }
  return row
})

const edit = ({ chain, seq }: Row) =>
  SqlClient.SqlClient.use((sql) =>
    sql.unsafe(
      `UPDATE governance_audit_events SET canonical = replace(canonical, '"usd":"30.00"', '"usd":"3.00"') WHERE chain = $1 AND seq = $2`,
      [chain, seq]
    )
  )

const editWithoutTriggers = (row: Row) =>
  SqlClient.SqlClient.use((sql) =>
    sql.withTransaction(
      sql
        .unsafe("ALTER TABLE governance_audit_events DISABLE TRIGGER USER")
        .pipe(
          Effect.andThen(edit(row)),
          Effect.andThen(sql.unsafe("ALTER TABLE governance_audit_events ENABLE TRIGGER USER"))
        )
    )
  )

const answerOf = (error: SqlError.SqlError): string => {
  const { cause } = error.reason
  return cause instanceof Error ? cause.message : "no"
}

const named = (report: ChainReport, row: Row) =>
  report.verdict === "tampered" && report.breaks.every((found) => found.chain === row.chain && found.seq === row.seq)
    ? Effect.void
    : Effect.fail(new DemoFailed({ what: "the verification did not name exactly the edited row" }))
