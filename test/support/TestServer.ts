import { randomBytes } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Config, Context, Effect, Layer, Option, Redacted } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Embedded from "../../src/layers/Embedded.ts"
import type { EmbeddedPostgresError } from "../../src/layers/embedded/EmbeddedPostgresError.ts"

/** The one PostgreSQL server of a test run, in words that can cross to vitest's workers. */
export interface TestServerFacts {
  readonly adminUrl: string
  readonly ownerUrl: string
  readonly appUrl: string
  /** Every database and role of this run has this prefix; nothing else on the server is touched. */
  readonly prefix: string
  readonly external: boolean
}

export class TestServer extends Context.Service<TestServer, TestServerFacts>()("test/TestServer") {}

/** GOVERNANCE_TEST_DATABASE_URL if it is set, else a throw-away embedded server without `fsync`. */
export const layer = Layer.unwrap(
  Effect.map(
    Config.option(Config.Redacted("GOVERNANCE_TEST_DATABASE_URL")),
    (url): Layer.Layer<TestServer, EmbeddedPostgresError | SqlError.SqlError> =>
      Option.isSome(url) ? layerExternal(url.value) : layerEmbedded
  )
)

const newPrefix = () => `governance_test_${randomBytes(6).toString("hex")}`

const layerEmbedded = Layer.effect(
  TestServer,
  Effect.map(Embedded.EmbeddedPostgres, (pg) => ({
    adminUrl: Redacted.value(pg.superUrl),
    ownerUrl: Redacted.value(pg.ownerUrl),
    appUrl: Redacted.value(pg.appUrl),
    prefix: newPrefix(),
    external: false
  }))
).pipe(Layer.provide(Embedded.layerThrowAway))

// The given user owns the databases; a runtime role of this run alone is made beside it and dropped at the end.
const layerExternal = (url: Redacted.Redacted<string>) =>
  Layer.effect(
    TestServer,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const prefix = newPrefix()
      const password = randomBytes(16).toString("hex")
      const adminUrl = Redacted.value(url)
      yield* Effect.acquireRelease(sql.unsafe(`CREATE ROLE ${prefix}_app LOGIN PASSWORD '${password}'`), () =>
        removeAll(sql, prefix)
      )
      const app = new URL(adminUrl)
      app.username = `${prefix}_app`
      app.password = password
      return { adminUrl, ownerUrl: adminUrl, appUrl: app.toString(), prefix, external: true }
    })
  ).pipe(Layer.provide(PgClient.layer({ url, maxConnections: 1, transformJson: false })))

const removeAll = (sql: SqlClient.SqlClient, prefix: string) =>
  Effect.gen(function* () {
    const rows = yield* sql<{
      datname: string
    }>`SELECT datname FROM pg_database WHERE starts_with(datname, ${`${prefix}_`})`
    for (const { datname } of rows) {
      yield* sql.unsafe(`ALTER DATABASE ${datname} IS_TEMPLATE false`)
      yield* sql.unsafe(`DROP DATABASE ${datname} WITH (FORCE)`)
    }
    yield* sql.unsafe(`DROP ROLE ${prefix}_app`)
  }).pipe(Effect.ignore)
