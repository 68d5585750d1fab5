import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Deferred, Effect, Layer, Redacted, Schedule, type Scope } from "effect"
import { prepareDataDirectory } from "./embedded/DataDirectory.ts"
import { attempt, EmbeddedPostgresError } from "./embedded/EmbeddedPostgresError.ts"
import { openServer } from "./embedded/Opener.ts"
import { type Role, serverUrl } from "./embedded/Probe.ts"
import type { WatchdogOptions } from "./embedded/WatchdogStart.ts"

export { EmbeddedPostgresError }

/**
 * A real PostgreSQL from the npm binaries, shared by all processes that open the same directory; it stops after the last of them.
 * `ownerUrl` is for migrations, `appUrl` for everything else: the runtime role may do what the migrations grant it.
 */
export class EmbeddedPostgres extends Context.Service<
  EmbeddedPostgres,
  {
    readonly ownerUrl: Redacted.Redacted<string>
    readonly appUrl: Redacted.Redacted<string>
    readonly superUrl: Redacted.Redacted<string>
    readonly dataDir: string
    /** False when the server was already running and we joined it. */
    readonly startedHere: boolean
  }
>()("effect-governance/layers/Embedded") {}

/** Kept data in `dataDir`, default `./.governance`. `durable: false` switches `fsync` off for a server that is started here. */
export const layer = (options?: { readonly dataDir?: string; readonly durable?: boolean }) =>
  Layer.effect(
    EmbeddedPostgres,
    Effect.flatMap(prepareDataDirectory(options?.dataDir ?? ".governance"), (dataDir) =>
      open({ dataDir, durable: options?.durable ?? true, keep: true })
    )
  )

/** A fresh server without `fsync` in a temporary directory; both are gone when the layer's scope ends. */
export const layerThrowAway: Layer.Layer<EmbeddedPostgres, EmbeddedPostgresError> = Layer.effect(
  EmbeddedPostgres,
  Effect.flatMap(
    Effect.acquireRelease(
      attempt("prepare data directory", "directory", tmpdir(), () => mkdtempSync(join(tmpdir(), "effect-governance-"))),
      (dataDir) => Effect.ignore(Effect.try(() => rmSync(dataDir, { recursive: true, force: true })))
    ),
    (dataDir) => open({ dataDir, durable: false, keep: false })
  )
)

const open: (
  options: WatchdogOptions
) => Effect.Effect<EmbeddedPostgres["Service"], EmbeddedPostgresError, Scope.Scope> = Effect.fnUntraced(
  function* (options) {
    const opened = yield* openServer(options)
    const { server, credentials } = opened.connection
    const url = (role: Role) =>
      Redacted.make(serverUrl(role, server.port, credentials), { label: `${role} of the embedded database` })
    yield* Effect.forkScoped(openAgain(options, opened.closed, server.port))
    return EmbeddedPostgres.of({
      ownerUrl: url("owner"),
      appUrl: url("app"),
      superUrl: url("superuser"),
      dataDir: options.dataDir,
      startedHere: opened.startedHere
    })
  }
)

// A watchdog or a server that was killed is replaced, on the same port if that is still free, so pools that hold its address heal.
const openAgain = Effect.fnUntraced(function* (options: WatchdogOptions, first: Deferred.Deferred<void>, port: number) {
  let closed = first
  while (true) {
    yield* Deferred.await(closed)
    yield* Effect.logWarning(`The embedded PostgreSQL of ${options.dataDir} was lost; starting it again`)
    if (!existsSync(options.dataDir)) return yield* Effect.logError("Its directory has gone, and the data with it")
    const opened = yield* openServer(options).pipe(
      Effect.tapError((error) => Effect.logError(error.message)),
      Effect.retry(Schedule.spaced("2 seconds"))
    )
    if (opened.connection.server.port !== port) {
      yield* Effect.logError("The embedded PostgreSQL has a new port now; restart this process to use it")
    }
    closed = opened.closed
  }
})
