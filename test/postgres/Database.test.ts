import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import * as Database from "../../src/layers/postgres/Database.ts"
import { normalisedUrl } from "../../src/layers/postgres/DatabaseUrl.ts"
import { split, statements } from "../../src/layers/postgres/MigrationSql.ts"
import { RoleName, SchemaName } from "../../src/layers/postgres/SchemaName.ts"
import { emptyDatabase, TestDatabase } from "../support/database.ts"

const database = (options: Database.DatabaseOptions = {}) =>
  Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl, options)))

describe("the connection string", () => {
  it.effect("loses SQLAlchemy's driver suffix and keeps everything else (ENT-17)", () =>
    Effect.gen(function* () {
      const cases = [
        ["postgresql+asyncpg://u:secret@h:1/d?sslmode=require", "postgresql://u:secret@h:1/d?sslmode=require"],
        ["postgres+psycopg2://h/d", "postgres://h/d"],
        [" postgresql://h/d?sslmode=require\n", "postgresql://h/d?sslmode=require"]
      ] as const
      for (const [given, wanted] of cases) {
        assert.strictEqual(Redacted.value(yield* normalisedUrl(Redacted.make(given))), wanted)
      }
    })
  )

  it.effect("that is malformed is refused without being repeated (ENT-04, ENT-17)", () =>
    Effect.gen(function* () {
      for (const given of ["", "hunter2", "mysql://u:hunter2@h/d", "sqlite:hunter2", "http://hunter2"]) {
        const error = yield* Effect.flip(normalisedUrl(Redacted.make(given)))
        assert.strictEqual(error._tag, "ConfigurationError")
        assert.notInclude(JSON.stringify(error) + error.message, "hunter2")
      }
    })
  )
})

describe("the database layer", () => {
  it.live("opens at most 15 connections, with bounds on what a lost client can hold (PRF-01, ENT-13, R-06)", () =>
    Effect.gen(function* () {
      const { hot, sql, writer } = yield* Database.Database
      const busy = (n: number, one: Effect.Effect<unknown, unknown>) =>
        Effect.all(
          Array.from({ length: n }, () => one),
          { concurrency: "unbounded" }
        )
      const most = yield* Effect.all(
        [
          busy(30, sql`SELECT pg_sleep(0.05)`),
          busy(
            30,
            hot.use((connection) => connection.query("SELECT pg_sleep(0.05)"))
          ),
          busy(
            3,
            writer.use((connection) => connection.query("SELECT pg_sleep(0.05)"))
          ),
          Effect.delay(
            writer.use((connection) =>
              connection.queryValues(
                "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
              )
            ),
            "60 millis"
          )
        ],
        { concurrency: "unbounded" }
      )
      assert.isAtMost(Number(most[3][0]?.[0]), 14)
      assert.deepStrictEqual(
        yield* sql.unsafe("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')").values,
        [["5s", "2s"]]
      )
    }).pipe(Effect.provide(Layer.provideMerge(database(), emptyDatabase), { local: true }))
  )

  it.live("behind a pooler prepares nothing and sends no session defaults (F-14)", () =>
    Effect.gen(function* () {
      const { hot, sql } = yield* Database.Database
      const prepared = "SELECT count(*)::int, current_setting('statement_timeout') FROM pg_prepared_statements"
      yield* hot.use((connection) =>
        Effect.gen(function* () {
          yield* connection.queryValues("SELECT $1::int", [1])
          assert.deepStrictEqual(yield* connection.queryValues(prepared), [[0, "0"]])
        })
      )
      const inside = sql.withTransaction(Effect.andThen(sql`SELECT ${1}::int`, sql.unsafe(prepared).values))
      assert.deepStrictEqual(yield* inside, [[0, "0"]])
    }).pipe(Effect.provide(Layer.provideMerge(database({ pooler: true }), emptyDatabase), { local: true }))
  )

  it.live("is built from GOVERNANCE_DATABASE_URL and answers a ping (CFG-01)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const env = ConfigProvider.fromEnv({ env: { GOVERNANCE_DATABASE_URL: Redacted.value(appUrl) } })
      yield* Effect.flatMap(Database.Database, ({ ping }) => ping).pipe(
        Effect.provide(Layer.provide(Database.layerFromEnv(), ConfigProvider.layer(env)), { local: true })
      )
    }).pipe(Effect.provide(emptyDatabase, { local: true }))
  )

  it.live("against a schema that was not migrated every call says so (MIG-05)", () =>
    Effect.gen(function* () {
      const { deploymentId } = yield* Database.Database
      const error = yield* Effect.flip(deploymentId)
      assert.strictEqual(error.problem, "refused")
      assert.include(error.recoveryHint, "governance migrate")
    }).pipe(Effect.provide(Layer.provideMerge(database(), emptyDatabase), { local: true }))
  )
})

describe("the text of a migration", () => {
  it("is split at the semicolons that end a statement and at no others (DEC-16)", () => {
    const text = `-- it's; a comment
      CREATE TABLE "a;b" (t text DEFAULT 'x;''y'); /* ; */
      CREATE FUNCTION f() AS $body$ BEGIN; x := $$;$$; END; $body$; -- last;
      SELECT 1`
    assert.deepStrictEqual(
      split(text).map((statement) => statement.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, "").trim()),
      [
        `CREATE TABLE "a;b" (t text DEFAULT 'x;''y')`,
        "CREATE FUNCTION f() AS $body$ BEGIN; x := $$;$$; END; $body$",
        "SELECT 1"
      ]
    )
    assert.deepStrictEqual(split(" -- nothing;\n ; ;"), [])
  })

  it("names the schema and the role in quotes, and leaves the grants out when there is no role (DEC-01)", () => {
    const text =
      "SELECT 1 FROM {{schema}}.t;\n-- {{#app_role}}\nGRANT SELECT ON {{schema}}.t TO {{app_role}};\n-- {{/app_role}}\n"
    const schema = SchemaName.make("gov")
    assert.deepStrictEqual(statements(text, schema, undefined), ['SELECT 1 FROM "gov".t'])
    assert.include(statements(text, schema, RoleName.make("my-app"))[1], 'GRANT SELECT ON "gov".t TO "my-app"')
  })
})
