import type { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { MigrationFile } from "../../src/layers/postgres/MigrationSql.ts"
import { type MigrateOptions, migrate, plan } from "../../src/layers/postgres/Migrations.ts"
import { migrationFiles } from "../../src/layers/postgres/migrations.generated.ts"
import { emptyDatabase, layerSql, TestDatabase } from "../support/database.ts"

const file = (id: number, sql: string, checksum = `sum-${id}`): MigrationFile => ({
  id,
  name: `step${id}`,
  checksum,
  sql
})
const one = file(1, "CREATE TABLE {{schema}}.governance_one (id int);")
const two = file(
  2,
  "CREATE TABLE {{schema}}.governance_two (id int); INSERT INTO {{schema}}.governance_two VALUES (2);"
)

const owner = Layer.provideMerge(layerSql("owner", { maxConnections: 12 }), emptyDatabase)
const inEmpty = <A, E>(self: Effect.Effect<A, E, PgClient.PgClient | SqlClient.SqlClient | TestDatabase>) =>
  Effect.provide(self, owner, { local: true })
const names = (schema = "public") =>
  SqlClient.SqlClient.use((sql) =>
    Effect.map(
      sql.unsafe(
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r' ORDER BY 1",
        [schema]
      ).values,
      (rows) => rows.map(String)
    )
  )
const refused = (options: MigrateOptions) => Effect.flip(migrate(options))
const exec = (text: string): Effect.Effect<unknown, SqlError.SqlError, SqlClient.SqlClient> =>
  SqlClient.SqlClient.use((sql) => sql.unsafe(text).unprepared)

describe("migrate", () => {
  it.live("brings an empty database to the head and does nothing the second time (CLI-01, MIG-01)", () =>
    inEmpty(
      Effect.gen(function* () {
        const { appRole } = yield* TestDatabase
        const ran = yield* migrate({ appRole })
        assert.deepStrictEqual(
          ran,
          migrationFiles.map((f) => `${String(f.id).padStart(4, "0")}_${f.name}`)
        )
        assert.deepStrictEqual(yield* migrate({ appRole }), [])
        assert.deepStrictEqual((yield* plan()).pending, [])
      })
    )
  )

  it.live("ten runners at once apply each file once (L-08)", () =>
    inEmpty(
      Effect.gen(function* () {
        const ran = yield* Effect.all(
          Array.from({ length: 10 }, () => migrate({ files: [one, two] })),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(ran.flat().sort(), ["0001_step1", "0002_step2"])
        const rows = yield* SqlClient.SqlClient.use((sql) => sql`SELECT id FROM governance_two`)
        assert.strictEqual(rows.length, 1)
      })
    )
  )

  it.live("a file that fails leaves nothing of itself behind and can be run again (L-08, F-15)", () =>
    inEmpty(
      Effect.gen(function* () {
        const broken = file(2, "CREATE TABLE {{schema}}.governance_half (id int); SELECT no_such_function();")
        const error = yield* refused({ files: [one, broken] })
        assert.strictEqual(error.problem, "refused")
        assert.include(error.message, "no_such_function")
        assert.deepStrictEqual(yield* names(), ["governance_migrations", "governance_one"])
        assert.deepStrictEqual(yield* migrate({ files: [one, two] }), ["0002_step2"])
      })
    )
  )

  it.live("a changed file, a lower number and a newer schema are refused with their names (DEC-16)", () =>
    inEmpty(
      Effect.gen(function* () {
        yield* migrate({ files: [one, file(3, "SELECT 1;")] })
        const changed = yield* refused({ files: [{ ...one, checksum: "other" }, file(3, "SELECT 1;")] })
        assert.deepStrictEqual([changed.problem, changed.about], ["changed-file", ["0001_step1"]])
        const late = yield* refused({ files: [one, two, file(3, "SELECT 1;")] })
        assert.deepStrictEqual([late.problem, late.about], ["out-of-order", ["0002_step2"]])
        const newer = yield* refused({ files: [one] })
        assert.deepStrictEqual([newer.problem, newer.about], ["newer-schema", ["0003_step3"]])
        assert.strictEqual((yield* Effect.flip(plan({ files: [one] }))).problem, "newer-schema")
      })
    )
  )

  it.live("governance tables that it did not make are refused, another schema is not (DEC-01)", () =>
    inEmpty(
      Effect.gen(function* () {
        yield* exec("CREATE TABLE governance_audit_events (id int)")
        const error = yield* refused({ files: [one] })
        assert.deepStrictEqual([error.problem, error.about], ["foreign-tables", ["governance_audit_events"]])
        assert.include(error.recoveryHint, "--schema")
        assert.deepStrictEqual(yield* names(), ["governance_audit_events"])
        yield* migrate({ schema: "gov_b", files: [one] })
        assert.deepStrictEqual(yield* names("gov_b"), ["governance_migrations", "governance_one"])
      })
    )
  )

  it.live("a version table of another shape is refused too (DEC-01)", () =>
    inEmpty(
      Effect.gen(function* () {
        yield* exec("CREATE TABLE governance_migrations (version_num text)")
        assert.strictEqual((yield* refused({ files: [one] })).problem, "foreign-tables")
      })
    )
  )

  it.live("the dry run prints the SQL with the names in it and changes nothing (DEC-16)", () =>
    inEmpty(
      Effect.gen(function* () {
        const found = yield* plan({ schema: "gov_c", files: [one, two] })
        assert.deepStrictEqual(
          found.pending.map((step) => step.name),
          ["0001_step1", "0002_step2"]
        )
        assert.strictEqual(found.pending[0]?.sql, 'CREATE TABLE "gov_c".governance_one (id int);\n')
        assert.deepStrictEqual(yield* names("gov_c"), [])
      })
    )
  )

  for (const schema of ['a"; DROP TABLE x; --', "pg_catalog", "Upper", "", "x".repeat(64), "a.b", "ü"]) {
    it.live(`refuses the schema name ${JSON.stringify(schema.slice(0, 30))} (DEC-01)`, () =>
      inEmpty(
        Effect.gen(function* () {
          assert.strictEqual((yield* refused({ schema, files: [one] })).problem, "invalid-name")
        })
      )
    )
  }

  it.live(
    "a role that does not exist or runs the migration itself gets nothing, and nothing is migrated (DEC-16)",
    () =>
      inEmpty(
        Effect.gen(function* () {
          const { ownerRole } = yield* TestDatabase
          for (const appRole of ["nobody_of_that_name", ownerRole]) {
            assert.strictEqual((yield* refused({ appRole, files: [one] })).problem, "unusable-role")
          }
          assert.strictEqual((yield* refused({ appRole: 'x" , public; --', files: [one] })).problem, "invalid-name")
          assert.deepStrictEqual(yield* names(), [])
        })
      )
  )

  it.live("a role that is named later gets the same rights as one named at the start (DEC-16)", () =>
    inEmpty(
      Effect.gen(function* () {
        const { appRole } = yield* TestDatabase
        const rights = SqlClient.SqlClient.use(
          (sql) => sql.unsafe("SELECT has_table_privilege($1, 'governance_audit_events', 'SELECT')", [appRole]).values
        )
        yield* migrate()
        assert.deepStrictEqual(yield* rights, [[false]])
        assert.deepStrictEqual(yield* migrate({ appRole }), [])
        assert.deepStrictEqual(yield* rights, [[true]])
      })
    )
  )

  it.live("waits for a lock that is held for longer than its lock timeout, instead of queueing behind it (P-12)", () =>
    inEmpty(
      Effect.gen(function* () {
        yield* migrate({ files: [one] })
        const sql = yield* SqlClient.SqlClient
        const held = sql.withTransaction(
          Effect.andThen(exec("LOCK TABLE governance_migrations IN ACCESS EXCLUSIVE MODE"), Effect.sleep("2500 millis"))
        )
        const [, ran] = yield* Effect.all([held, Effect.delay(migrate({ files: [one, two] }), "100 millis")], {
          concurrency: 2
        })
        assert.deepStrictEqual(ran, ["0002_step2"])
      })
    )
  )

  it.live(
    "a backend that is killed in the middle of a file changes nothing, and the file is run again (L-08, F-15)",
    () =>
      inEmpty(
        Effect.gen(function* () {
          const slow = file(2, "CREATE TABLE {{schema}}.governance_slow (id int); SELECT pg_sleep(0.4);")
          const kill = Effect.gen(function* () {
            for (;;) {
              const sql = yield* SqlClient.SqlClient
              const hit = yield* sql.unsafe(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(0.4)%' AND datname = current_database()"
              ).values
              if (hit.length > 0) return
              yield* Effect.sleep("20 millis")
            }
          }).pipe(Effect.provide(layerSql("admin"), { local: true }))
          const [ran] = yield* Effect.all([migrate({ files: [one, slow] }), kill], { concurrency: 2 })
          assert.deepStrictEqual(ran, ["0001_step1", "0002_step2"])
          assert.deepStrictEqual(yield* names(), ["governance_migrations", "governance_one", "governance_slow"])
        })
      )
  )

  it.live("works as a superuser too, in a schema of any name (DEC-01, DEC-16)", () =>
    Effect.gen(function* () {
      const { appRole } = yield* TestDatabase
      yield* migrate({ schema: "gov_d", appRole })
      assert.include(yield* names("gov_d"), "governance_audit_events")
      assert.deepStrictEqual(yield* names("public"), [])
    }).pipe(Effect.provide(Layer.provideMerge(layerSql("admin"), emptyDatabase), { local: true }))
  )

  it.live("a server that is not there is said to be unreachable (MIG-05)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(plan()).pipe(
        Effect.provide(Layer.provide(layerSql("owner", { port: 1, connectTimeout: "200 millis" }), emptyDatabase))
      )
      assert.strictEqual(error._tag === "MigrationError" ? error.problem : error._tag, "unreachable")
    })
  )
})
