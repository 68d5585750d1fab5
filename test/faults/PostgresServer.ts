import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Context, Deferred, Effect, Exit, Layer, Option, Redacted, Schedule, Scope } from "effect"
import { prepareBinaries } from "../../src/layers/embedded/Binaries.ts"
import { prepareCluster } from "../../src/layers/embedded/Cluster.ts"
import { APP_ROLE, DATABASE, OWNER_ROLE } from "../../src/layers/embedded/ConnectionFile.ts"
import { type Role, serverUrl } from "../../src/layers/embedded/Probe.ts"
import { type Server, startServer } from "../../src/layers/embedded/Server.ts"
import { findServerAccount } from "../../src/layers/embedded/ServerAccount.ts"
import { migrate } from "../../src/layers/postgres/Migrations.ts"
import { TestDatabase } from "../support/database.ts"

/** `fast` rolls back and disconnects, `immediate` lets go of everything at once, `kill` is kill -9 of the postmaster. */
export type Stop = "fast" | "immediate" | "kill"

/**
 * A durable PostgreSQL of the test file's own: others may be stopped by nobody. It keeps port and data over stops and is
 * gone, with its directory, when the scope ends.
 */
export class PostgresServer extends Context.Service<
  PostgresServer,
  {
    readonly stop: (how: Stop) => Effect.Effect<void>
    /** On the same port and data. */
    readonly start: Effect.Effect<void>
    readonly dataDir: string
    readonly pid: () => number
  }
>()("test/PostgresServer") {}

/** The server, and its one database with this package's migrations as `TestDatabase`. */
export const layer = (options: { readonly dataDir?: string } = {}) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const dataDir = options.dataDir ?? (yield* temporary)
      const account = yield* findServerAccount
      const binaries = yield* prepareBinaries(account)
      const cluster = yield* prepareCluster({ dataDir, binaries, account, durable: false })
      let port: number | undefined
      let running: { readonly scope: Scope.Closeable; readonly server: Server } | undefined

      const start = Effect.gen(function* () {
        const scope = yield* Scope.make()
        const wanted = Option.fromUndefinedOr(port)
        // Backends of a postmaster that was killed hold the data for a moment.
        const server = yield* startServer({ dataDir, cluster, binaries, account, durable: true, wanted }).pipe(
          Scope.provide(scope),
          Effect.retry({ schedule: Schedule.spaced("200 millis"), times: 50 })
        )
        if (port !== undefined && server.port !== port) return yield* Effect.die(new Error("the port was taken"))
        port = server.port
        running = { scope, server }
      }).pipe(Effect.orDie)

      const stop = Effect.fnUntraced(function* (how: Stop) {
        if (running === undefined) return
        const { scope, server } = running
        running = undefined
        process.kill(server.pid, signals[how])
        yield* Deferred.await(server.exited)
        yield* Scope.close(scope, Exit.void)
      })

      yield* start
      yield* Effect.addFinalizer(() => stop("immediate"))
      const url = (role: Role) => Redacted.make(serverUrl(role, port ?? 0, cluster.credentials))
      const database = TestDatabase.of({
        name: DATABASE,
        ownerUrl: url("owner"),
        appUrl: url("app"),
        adminUrl: url("superuser"),
        ownerRole: OWNER_ROLE,
        appRole: APP_ROLE
      })
      yield* Effect.provide(
        migrate({ appRole: APP_ROLE }),
        PgClient.layer({ url: database.ownerUrl, maxConnections: 1, transformJson: false }),
        { local: true }
      )
      const service = PostgresServer.of({ start, stop, dataDir, pid: () => running?.server.pid ?? 0 })
      return Context.make(PostgresServer, service).pipe(Context.add(TestDatabase, database))
    })
  )

const signals = { fast: "SIGINT", immediate: "SIGQUIT", kill: "SIGKILL" } as const

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-governance-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
)
