import { Effect, Result, Schedule, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { MigrationError } from "./MigrationError.ts"
import { grantStatements, type MigrationFile, statements } from "./MigrationSql.ts"
import { label, load, type Target, values } from "./MigrationState.ts"
import { migrationFiles } from "./migrations.generated.ts"
import { defaultSchema, quoted, RoleName, SchemaName } from "./SchemaName.ts"
import * as SqlFailure from "./SqlFailure.ts"

export { MigrationError } from "./MigrationError.ts"

export interface MigrateOptions {
  /** Default `public`, refused when foreign `governance_*` tables are there (DEC-01). Created when absent. */
  readonly schema?: string | undefined
  /** The runtime role: it gets SELECT and EXECUTE, never more. It must exist. Without it no rights are given to anyone. */
  readonly appRole?: string | undefined
  /** Default: the files of this package. */
  readonly files?: ReadonlyArray<MigrationFile> | undefined
}

export interface MigrationPlan {
  readonly schema: SchemaName
  readonly applied: ReadonlyArray<string>
  readonly pending: ReadonlyArray<{ readonly name: string; readonly sql: string }>
}

/**
 * Brings a schema to this package's version and says which migrations it ran (DEC-16). Forward only, one transaction per
 * file, any number of runners at once (L-08); a lock that is not free within 2 s is given up and asked for again (P-12).
 */
export const migrate = Effect.fn("Migrations.migrate")(function* (options: MigrateOptions = {}) {
  const target = yield* named(options)
  yield* guarded(target, checkRole(target))
  const ran: Array<string> = []
  const before = yield* guarded(target, load(target))
  if (before.pending.length > 0) {
    if (!before.recorded) yield* guarded(target, prepare(target))
    for (;;) {
      const name = yield* guarded(target, next(target))
      if (name === undefined) break
      ran.push(name)
    }
  }
  if (target.appRole !== undefined) yield* guarded(target, grant(target))
  return ran
})

/** What `migrate` would run, for `--dry-run`. Changes nothing; refuses what `migrate` refuses. */
export const plan = Effect.fn("Migrations.plan")(function* (options: MigrateOptions = {}) {
  const target = yield* named(options)
  const state = yield* guarded(target, load(target))
  const found: MigrationPlan = {
    schema: target.schema,
    applied: state.applied.map((file) => file.label),
    pending: state.pending.map((file) => ({
      name: label(file),
      sql: `${statements(file.sql, target.schema, target.appRole).join(";\n\n")};\n`
    }))
  }
  return found
})

/** What is applied and what is not, or why that cannot be said. */
export const status = plan

const named = Effect.fnUntraced(function* (options: MigrateOptions) {
  const given = options.schema ?? defaultSchema
  const schema = Schema.decodeUnknownResult(SchemaName)(given)
  if (Result.isFailure(schema)) {
    return yield* new MigrationError({ problem: "invalid-name", schema: given, about: [given] })
  }
  const role = Schema.decodeUnknownResult(Schema.UndefinedOr(RoleName))(options.appRole)
  if (Result.isFailure(role)) {
    return yield* new MigrationError({ problem: "invalid-name", schema: given, about: [options.appRole ?? ""] })
  }
  const target: Target = {
    schema: schema.success,
    appRole: role.success,
    files: options.files ?? migrationFiles,
    table: `${quoted(schema.success)}.governance_migrations`
  }
  return target
})

const execute = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).unprepared)

const checkRole = Effect.fnUntraced(function* (target: Target) {
  if (target.appRole === undefined) return
  const [row] = yield* values(
    "SELECT current_user::text = $1, EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1)",
    [target.appRole]
  )
  if (row?.[0] === true || row?.[1] !== true) {
    return yield* new MigrationError({ problem: "unusable-role", schema: target.schema, about: [target.appRole] })
  }
})

const transaction = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  SqlClient.SqlClient.use((sql) =>
    SqlFailure.undie(
      sql.withTransaction(
        execute("SET LOCAL lock_timeout = '2s'").pipe(
          // Citus asks for this before DDL on distributed tables; a plain server takes it for a placeholder.
          Effect.andThen(execute("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")),
          Effect.andThen(body)
        )
      )
    ).pipe(Effect.provideService(SqlClient.BeginTransaction, "BEGIN ISOLATION LEVEL READ COMMITTED"))
  )

const prepare = (target: Target) =>
  transaction(
    Effect.gen(function* () {
      const [found] = yield* values("SELECT to_regnamespace($1) IS NOT NULL", [quoted(target.schema)])
      if (found?.[0] !== true) yield* execute(`CREATE SCHEMA IF NOT EXISTS ${quoted(target.schema)}`)
      yield* execute(`CREATE TABLE IF NOT EXISTS ${target.table} (
        id int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`)
      yield* execute(`REVOKE ALL ON ${target.table} FROM PUBLIC`)
    })
  ).pipe(Effect.retry({ while: isRace, times: 10 }))

/** How parallel runners trip over each other's CREATE ... IF NOT EXISTS. */
const isRace = (error: SqlError): boolean =>
  ["23505", "42P06", "42P07", "42710"].includes(SqlFailure.sqlState(error) ?? "")

/** Runs the next pending file and returns its name, or nothing when there is none. */
const next = (target: Target) =>
  transaction(
    Effect.gen(function* () {
      // Other runners wait here and then read what this one has recorded; readers are not held up.
      yield* execute(`LOCK TABLE ${target.table} IN SHARE ROW EXCLUSIVE MODE`)
      const [file] = (yield* load(target)).pending
      if (file === undefined) return undefined
      for (const statement of statements(file.sql, target.schema, target.appRole)) yield* execute(statement)
      yield* values(`INSERT INTO ${target.table} (id, name, checksum) VALUES ($1, $2, $3)`, [
        file.id,
        file.name,
        file.checksum
      ])
      return label(file)
    })
  )

/** Grants of every file again, so that a role that is named later gets what it would have got at the start. */
const grant = (target: Target) =>
  transaction(
    Effect.gen(function* () {
      const role = target.appRole
      if (role === undefined) return
      yield* execute(`LOCK TABLE ${target.table} IN SHARE ROW EXCLUSIVE MODE`)
      yield* execute(`GRANT SELECT ON ${target.table} TO ${quoted(role)}`)
      for (const file of target.files) {
        for (const statement of grantStatements(file.sql, target.schema, role)) yield* execute(statement)
      }
    })
  )

const isAway = (error: SqlError | MigrationError): boolean => isSqlError(error) && SqlFailure.isUnknownOutcome(error)

const isBusy = (error: SqlError | MigrationError): boolean =>
  isSqlError(error) && !isAway(error) && SqlFailure.isTransient(error)

const backOff = Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]))

const guarded = <A>(
  target: Target,
  self: Effect.Effect<A, SqlError | MigrationError, SqlClient.SqlClient>
): Effect.Effect<A, MigrationError, SqlClient.SqlClient> =>
  self.pipe(
    Effect.retry({ while: isBusy, times: 20, schedule: backOff }),
    Effect.retry({ while: isAway, times: 5, schedule: backOff }),
    Effect.catchTag("SqlError", (error) =>
      Effect.fail(
        new MigrationError({
          problem: problems[SqlFailure.problemOf(error)],
          schema: target.schema,
          about: [],
          detail: said(error)
        })
      )
    )
  )

const problems = {
  unreachable: "unreachable",
  deadline: "busy",
  overload: "busy",
  refused: "refused",
  integrity: "refused",
  closed: "refused"
} as const

const said = (error: SqlError): string =>
  error.reason.cause instanceof Error ? error.reason.cause.message : error.message
