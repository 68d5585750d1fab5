import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { emptyDatabase, freshDatabase, layerSql, migratedDatabase, TestDatabase } from "./database.ts"

const withTable = migratedDatabase({
  name: "support_check",
  run: ({ appRole }) =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE things (id int)`
      yield* sql.unsafe(`GRANT SELECT ON things TO ${appRole}`)
    })
})
const count = Effect.flatMap(SqlClient.SqlClient, (sql) => sql<{ n: number }>`SELECT count(*)::int AS n FROM things`)
const insert = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO things VALUES (1)`)

describe("the tests' databases", () => {
  it.live("each use of a migrated database starts from the template and sees nothing of the others", () =>
    Effect.gen(function* () {
      const use = Effect.andThen(insert, count).pipe(
        Effect.provide(Layer.provide(layerSql("owner"), withTable), { local: true })
      )
      const counts = yield* Effect.all([use, use, use], { concurrency: "unbounded" })
      assert.deepStrictEqual(counts, [[{ n: 1 }], [{ n: 1 }], [{ n: 1 }]])
    })
  )

  it.live("the runtime role may do what the migration granted and nothing more", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* count, [{ n: 0 }])
      assert.strictEqual((yield* Effect.flip(insert)).reason._tag, "AuthorizationError")
    }).pipe(Effect.provide(Layer.provide(layerSql("app"), withTable)))
  )

  it.effect("a fresh database has the package's tables, and its runtime role may read them (DEC-16)", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql`SELECT count(*)::int AS n FROM governance_audit_events`, [{ n: 0 }])
    }).pipe(Effect.provide(Layer.provide(layerSql("app"), freshDatabase)))
  )

  it.live("a database is dropped with its scope although somebody is still connected", () =>
    Effect.gen(function* () {
      const name = yield* Effect.map(TestDatabase, (database) => database.name).pipe(
        Effect.provide(emptyDatabase, { local: true })
      )
      const found = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1 FROM pg_database WHERE datname = ${name}`)
      const rows = yield* found.pipe(Effect.provide(Layer.provide(layerSql("admin"), emptyDatabase), { local: true }))
      assert.strictEqual(rows.length, 0)
    })
  )

  it.live("no password of the server appears when its facts are printed", () =>
    Effect.gen(function* () {
      const database = yield* TestDatabase
      const password = new URL(Redacted.value(database.appUrl)).password
      assert.isAbove(password.length, 10)
      assert.notInclude(JSON.stringify(database), password)
    }).pipe(Effect.provide(emptyDatabase))
  )
})
