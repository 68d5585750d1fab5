import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { afterEach } from "vitest"
import * as Embedded from "../../src/layers/Embedded.ts"
import { locateBinaries } from "../../src/layers/embedded/Binaries.ts"
import { cleanUp, connectionOf, newDirectory } from "./Opening.ts"

afterEach(cleanUp)

const as = (role: "ownerUrl" | "appUrl" | "superUrl") =>
  Layer.unwrap(Effect.map(Embedded.EmbeddedPostgres, (pg) => PgClient.layer({ url: pg[role], maxConnections: 1 })))
const query = <A extends object>(text: string) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe<A>(text))

describe("Embedded", () => {
  it.live("a throw-away server answers, and its directory is gone when the scope closes (DEC-18)", () =>
    Effect.gen(function* () {
      const dataDir = yield* Effect.gen(function* () {
        const pg = yield* Embedded.EmbeddedPostgres
        const rows = yield* query<{ version: string }>("SHOW server_version").pipe(Effect.provide(as("appUrl")))
        assert.strictEqual(rows.length, 1)
        assert.isTrue(pg.startedHere)
        assert.isTrue(existsSync(pg.dataDir))
        return pg.dataDir
      }).pipe(Effect.provide(Embedded.layerThrowAway))
      assert.isFalse(existsSync(dataDir))
    })
  )

  it.live(
    "the runtime role cannot make tables, the owner can and is no superuser, and nobody enters without a password",
    () =>
      Effect.gen(function* () {
        const pg = yield* Embedded.EmbeddedPostgres
        const refused = yield* Effect.flip(query("CREATE TABLE t (id int)")).pipe(Effect.provide(as("appUrl")))
        assert.strictEqual(refused.reason._tag, "AuthorizationError")
        yield* query("CREATE TABLE t (id int)").pipe(Effect.provide(as("ownerUrl")))
        const owner = yield* query<{ rolsuper: boolean }>(
          "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        ).pipe(Effect.provide(as("ownerUrl")))
        assert.deepStrictEqual(owner, [{ rolsuper: false }])
        const wrong = new URL(Redacted.value(pg.superUrl))
        wrong.password = "wrong"
        const denied = yield* Effect.flip(query("SELECT 1")).pipe(
          Effect.provide(PgClient.layer({ url: Redacted.make(wrong.toString()), maxConnections: 1 }))
        )
        assert.strictEqual(denied.reason._tag, "AuthenticationError")
      }).pipe(Effect.provide(Embedded.layerThrowAway))
  )

  it.live("kept data are synced to disk and survive the server, in a private directory that git ignores", () =>
    Effect.gen(function* () {
      const dataDir = join(newDirectory(), "kept")
      const layer = Embedded.layer({ dataDir })
      yield* Effect.gen(function* () {
        yield* query("CREATE TABLE t AS SELECT 42 AS n")
        assert.deepStrictEqual(yield* query<{ fsync: string }>("SHOW fsync"), [{ fsync: "on" }])
        assert.strictEqual(statSync(dataDir).mode & 0o777, 0o700)
        assert.strictEqual(statSync(join(dataDir, "connection.json")).mode & 0o777, 0o600)
        assert.strictEqual(statSync(join(dataDir, "credentials.json")).mode & 0o777, 0o600)
        assert.strictEqual(statSync(join(dataDir, "server.log")).mode & 0o777, 0o600)
        assert.strictEqual(readFileSync(join(dataDir, ".gitignore"), "utf8"), "*\n")
      }).pipe(Effect.provide(Layer.provide(as("ownerUrl"), layer), { local: true }))
      assert.isFalse(existsSync(join(dataDir, "connection.json")))
      const rows = yield* query("SELECT n FROM t").pipe(
        Effect.provide(Layer.provide(as("ownerUrl"), layer), { local: true })
      )
      assert.deepStrictEqual(rows, [{ n: 42 }])
    })
  )

  it.live("a connection file that leads nowhere is replaced", () =>
    Effect.gen(function* () {
      const dataDir = newDirectory()
      writeFileSync(join(dataDir, ".gitignore"), "*\n")
      const credentials = { superuser: "a", owner: "b", app: "c" }
      const stale = {
        version: 1,
        watchdog: { pid: 999_999_999, port: 9, token: "t" },
        server: { pid: 999_999_999, port: 9 },
        credentials
      }
      writeFileSync(join(dataDir, "connection.json"), JSON.stringify(stale), { mode: 0o600 })
      yield* Effect.gen(function* () {
        const pg = yield* Embedded.EmbeddedPostgres
        assert.isTrue(pg.startedHere)
        assert.notStrictEqual(connectionOf(dataDir).watchdog.token, "t")
        assert.strictEqual((yield* query("SELECT 1").pipe(Effect.provide(as("appUrl")))).length, 1)
      }).pipe(Effect.provide(Embedded.layer({ dataDir, durable: false })))
    })
  )

  it.live("lost credentials are made anew for a cluster that is there", () =>
    Effect.gen(function* () {
      const dataDir = newDirectory()
      const layer = Embedded.layer({ dataDir, durable: false })
      yield* Effect.void.pipe(Effect.provide(layer, { local: true }))
      writeFileSync(join(dataDir, "credentials.json"), "{}")
      const rows = yield* query("SELECT 1").pipe(Effect.provide(Layer.provide(as("ownerUrl"), layer), { local: true }))
      assert.strictEqual(rows.length, 1)
    })
  )

  it.effect("a platform without binaries is said, with the way out", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(locateBinaries("sunos-sparc"))
      assert.instanceOf(error, Embedded.EmbeddedPostgresError)
      assert.include(error.message, "sunos-sparc")
      assert.include(error.recoveryHint, "GOVERNANCE_DATABASE_URL")
    })
  )

  it.live("a cluster of another major version is refused and left as it is; the error crosses from the watchdog", () =>
    Effect.gen(function* () {
      const dataDir = newDirectory()
      mkdirSync(join(dataDir, "cluster"), { mode: 0o700 })
      writeFileSync(join(dataDir, "cluster", "PG_VERSION"), "9\n")
      const error = yield* Effect.flip(Effect.void.pipe(Effect.provide(Embedded.layer({ dataDir }))))
      assert.instanceOf(error, Embedded.EmbeddedPostgresError)
      assert.strictEqual(error.problem, "version")
      assert.strictEqual(readFileSync(join(dataDir, "cluster", "PG_VERSION"), "utf8"), "9\n")
    })
  )

  it.live("a directory with other files in it is refused and left as it is", () =>
    Effect.gen(function* () {
      const dataDir = newDirectory()
      writeFileSync(join(dataDir, "thesis.txt"), "do not touch")
      const error = yield* Effect.flip(Effect.void.pipe(Effect.provide(Embedded.layer({ dataDir }))))
      assert.strictEqual(error.problem, "foreign")
      assert.isFalse(existsSync(join(dataDir, ".gitignore")))
    })
  )
})
