import { randomBytes } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { inject } from "vitest"
import { migrate } from "../../src/layers/postgres/Migrations.ts"
import "./postgres.setup.ts"

/** A database of the test's own on the run's server; dropped with everyone connected to it when the scope closes. */
export class TestDatabase extends Context.Service<
  TestDatabase,
  {
    readonly name: string
    /** Owns the database; migrations run as this role. */
    readonly ownerUrl: Redacted.Redacted<string>
    /** May connect, and what the migrations grant it. */
    readonly appUrl: Redacted.Redacted<string>
    /** The server's superuser, or the given user of GOVERNANCE_TEST_DATABASE_URL. */
    readonly adminUrl: Redacted.Redacted<string>
    readonly ownerRole: string
    readonly appRole: string
  }
>()("test/TestDatabase") {}

/** What makes a migrated template: run once for each name in a whole test run, as the owner. `appRole` may be granted to. */
export interface Migration<E = never> {
  readonly name: string
  readonly run: (roles: {
    readonly ownerRole: string
    readonly appRole: string
  }) => Effect.Effect<unknown, E, PgClient.PgClient | SqlClient.SqlClient>
}

/** A database without a table. */
export const emptyDatabase: Layer.Layer<TestDatabase, SqlError.SqlError> = Layer.effect(
  TestDatabase,
  Effect.suspend(() => create("template0"))
)

/** A database copied from the template which `migration` makes once. */
export const migratedDatabase = <E>(migration: Migration<E>): Layer.Layer<TestDatabase, SqlError.SqlError | E> =>
  Layer.effect(
    TestDatabase,
    Effect.flatMap(
      Effect.suspend(() => template(migration)),
      (name) => create(name)
    )
  )

/** A database with this package's migrations; the runtime role has what they grant. */
export const freshDatabase = migratedDatabase({ name: "package", run: ({ appRole }) => migrate({ appRole }) })

/** A copy of a database that nobody is connected to any more, with everything in it; dropped with the scope. */
export const copyOf = ({ name }: TestDatabase["Service"]) => create(name)

/** A client of the test's database in one of its roles. Size and settings may be given. */
export const layerSql = (
  role: "owner" | "app" | "admin",
  options?: Omit<PgClient.PgPoolConfig, "url">
): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, SqlError.SqlError, TestDatabase> =>
  Layer.unwrap(
    Effect.map(TestDatabase, (database) => {
      const url = { owner: database.ownerUrl, app: database.appUrl, admin: database.adminUrl }[role]
      return PgClient.layer({ url, maxConnections: 4, transformJson: false, ...options })
    })
  )

const create = Effect.fnUntraced(function* (from: string) {
  const facts = describe(`${inject("testServer").prefix}_${randomBytes(6).toString("hex")}`)
  yield* Effect.acquireRelease(
    administer((sql) => make(sql, facts, from)),
    () => Effect.ignore(administer((sql) => sql.unsafe(`DROP DATABASE IF EXISTS ${facts.name} WITH (FORCE)`)))
  )
  return facts
})

// Workers are processes: the lock makes one of them the maker, and only a finished template is marked as one.
const template = Effect.fnUntraced(function* <E>(migration: Migration<E>) {
  const facts = describe(`${inject("testServer").prefix}_template_${migration.name}`)
  const build = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
    const connection = yield* sql.reserve
    yield* Effect.acquireRelease(
      connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", [facts.name], undefined),
      () =>
        Effect.ignore(connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", [facts.name], undefined))
    )
    const done = yield* sql`SELECT 1 FROM pg_database WHERE datname = ${facts.name} AND datistemplate`
    if (done.length > 0) return
    yield* sql.unsafe(`DROP DATABASE IF EXISTS ${facts.name} WITH (FORCE)`)
    yield* make(sql, facts, "template0")
    const client = PgClient.layer({ url: facts.ownerUrl, maxConnections: 1, transformJson: false })
    yield* Effect.provide(migration.run(facts), client, { local: true })
    yield* sql.unsafe(`ALTER DATABASE ${facts.name} IS_TEMPLATE true`)
  }, Effect.scoped)
  yield* administer(build)
  return facts.name
})

const make = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, facts: TestDatabase["Service"], from: string) {
  yield* sql.unsafe(`CREATE DATABASE ${facts.name} OWNER ${facts.ownerRole} TEMPLATE ${from}`)
  yield* sql.unsafe(`REVOKE ALL ON DATABASE ${facts.name} FROM PUBLIC`)
  yield* sql.unsafe(`GRANT CONNECT ON DATABASE ${facts.name} TO ${facts.appRole}`)
})

const describe = (name: string): TestDatabase["Service"] => {
  const server = inject("testServer")
  return {
    name,
    ownerUrl: inDatabase(server.ownerUrl, name),
    appUrl: inDatabase(server.appUrl, name),
    adminUrl: inDatabase(server.adminUrl, name),
    ownerRole: new URL(server.ownerUrl).username,
    appRole: new URL(server.appUrl).username
  }
}

const inDatabase = (url: string, name: string): Redacted.Redacted<string> => {
  const own = new URL(url)
  own.pathname = `/${name}`
  return Redacted.make(own.toString())
}

// A connection of its own for each use, so that nothing of a test's scope keeps a database busy.
const administer = <A, E>(
  use: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError.SqlError> =>
  Effect.suspend(() =>
    Effect.flatMap(SqlClient.SqlClient, use).pipe(
      Effect.provide(PgClient.layer({ url: Redacted.make(inject("testServer").adminUrl), maxConnections: 2 }), {
        local: true
      })
    )
  )
