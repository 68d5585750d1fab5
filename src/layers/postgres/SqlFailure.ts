import { Effect, Result } from "effect"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { StoreError, type StoreProblem } from "../../schema/StoreError.ts"

/**
 * The one place that knows what a SQL error means. The driver's own `isRetryable` calls a server that restarts (57P01 to
 * 57P03) final and a cancelled statement retryable; both are wrong for us.
 */
export const isTransient = (error: SqlError): boolean =>
  (error.isRetryable && error.reason._tag !== "StatementTimeoutError") || transient.has(sqlState(error) ?? "")

/** True when the statement may have been committed although it failed: look before sending it again. */
export const isUnknownOutcome = (error: SqlError): boolean => {
  const code = sqlState(error) ?? ""
  return (
    error.reason._tag === "ConnectionError" ||
    code.startsWith("57P") ||
    code.startsWith("08") ||
    code === "40003" ||
    code === "XX000"
  )
}

/** The five characters that Postgres answered, if Postgres answered. */
export const sqlState = (error: SqlError): string | undefined => stringField(error.reason.cause, "code")

/** Whether a unique constraint, by name, refused the row. */
export const isUniqueViolation = (error: SqlError, constraint: string): boolean =>
  error.reason._tag === "UniqueViolation" && error.reason.constraint === constraint

export const problemOf = (error: SqlError): StoreProblem => {
  const code = sqlState(error) ?? ""
  switch (error.reason._tag) {
    case "ConnectionError":
    case "AuthenticationError":
      return "unreachable"
    case "StatementTimeoutError":
    case "LockTimeoutError":
      return "deadline"
    case "DeadlockError":
    case "SerializationError":
      return "overload"
    case "UniqueViolation":
      return error.reason.constraint === "governance_audit_events_pkey" ? "integrity" : "refused"
    default:
      if (code === "53300" || code === "53200") return "overload"
      if (code.startsWith("57P") || code.startsWith("08")) return "unreachable"
      return integrity.has(code) ? "integrity" : "refused"
  }
}

/** Turns what the driver says into the only error a store has (design: stores fail in one way). */
export const toStoreError =
  (store: string, operation: string) =>
  (error: SqlError): StoreError =>
    StoreError.because({ store, operation, problem: problemOf(error) }, error)

/** A connection that is lost inside `withTransaction` arrives as a defect; this makes it a failure again. */
export const undie = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
  Effect.catchCause(self, (cause): Effect.Effect<A, E | SqlError, R> => {
    for (const reason of cause.reasons) {
      if (reason._tag === "Die" && isSqlError(reason.defect)) return Effect.fail(reason.defect)
    }
    return Effect.failCause(cause)
  })

/** XX000: a node of Citus lost another. 25006: failed over to a standby; 26000, 25P02: the pooler gave us another server connection. */
const transient = new Set(["XX000", "57P01", "57P02", "57P03", "53300", "53200", "25006", "26000", "25P02"])

/** GV001, GV002: the append function's own verdicts; XX001, XX002: damaged table or index. */
const integrity = new Set(["GV001", "GV002", "XX001", "XX002"])

const stringField = (value: unknown, field: string): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const found = Result.try(() => Reflect.get(value, field))
  return Result.isSuccess(found) && typeof found.success === "string" ? found.success : undefined
}
