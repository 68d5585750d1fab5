import { connect, type Socket } from "node:net"
import { Deferred, Effect, Option, Schedule, Scope } from "effect"
import { type Connection, readConnection } from "./ConnectionFile.ts"
import { EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"
import { probe } from "./Probe.ts"
import { startWatchdog, type WatchdogOptions } from "./WatchdogStart.ts"

/** One opener's hold on a server: while its socket is open the server lives. */
export interface Opened {
  readonly connection: Connection
  readonly startedHere: boolean
  /** Done when the watchdog has gone or we have left. */
  readonly closed: Deferred.Deferred<void>
}

/**
 * Joins the server of the data directory, or starts it: simultaneous starters end at one server, because only the holder of the
 * directory's lock starts one. The scope's end leaves, and waits until the server has stopped if we were the last.
 */
export const openServer = (options: WatchdogOptions) =>
  joinOrStart(options).pipe(
    Effect.retry({ while: (error) => error === "busy", schedule: Schedule.spaced("50 millis") }),
    Effect.catchIf(
      (error) => error === "busy",
      () => silent(options.dataDir)
    ),
    Effect.timeoutOrElse({ duration: "3 minutes", orElse: () => silent(options.dataDir) })
  )

const joinOrStart = Effect.fnUntraced(function* (options: WatchdogOptions) {
  const joined = yield* Effect.option(join(options.dataDir))
  if (Option.isSome(joined)) return { ...joined.value, startedHere: false }
  return yield* withWatchdog(options)
})

// The pipe to our watchdog is let go when this scope ends, after the socket is open: it is never without a holder.
const withWatchdog = Effect.fnUntraced(function* (options: WatchdogOptions) {
  const outer = yield* Effect.scope
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const watchdog = yield* startWatchdog(options)
      const mine = Effect.flatMap(watchdog.answer, (answer): Effect.Effect<void, EmbeddedPostgresError | "busy"> => {
        if (answer._tag === "Failed") return Effect.fail(answer.error)
        return answer._tag === "Busy" ? Effect.fail("busy" as const) : Effect.void
      })
      const here = Effect.provideService(join(options.dataDir), Scope.Scope, outer)
      const polled = Effect.retry(here, Schedule.spaced("100 millis"))
      const opened = yield* Effect.raceFirst(polled, Effect.andThen(mine, here))
      const startedHere = opened.connection.watchdog.pid === watchdog.pid
      if (!startedHere) yield* watchdog.kill
      return { ...opened, startedHere }
    })
  )
})

/** Fails unless the connection file leads to a live watchdog that knows our token and to a server that answers a query. */
const join = (dataDir: string) => Effect.mapError(tryJoin(dataDir), () => silent(dataDir))

const tryJoin = Effect.fnUntraced(function* (dataDir: string) {
  const found = yield* readConnection(dataDir)
  if (Option.isNone(found)) return yield* Effect.fail("no server")
  const { watchdog, server, credentials } = found.value
  const hold = yield* Effect.acquireRelease(knock(watchdog.port, watchdog.token), leave, { interruptible: true })
  yield* Effect.tapError(probe(server.port, credentials), () => leave(hold))
  return { connection: found.value, closed: hold.closed }
})

interface Hold {
  readonly socket: Socket
  readonly closed: Deferred.Deferred<void>
}

const knock = (port: number, token: string) =>
  Effect.callback<Hold, string>((resume) => {
    const closed = Deferred.makeUnsafe<void>()
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: false })
    const welcome = () => {
      // An opener whose work is done may end although it has not left: the kernel closes the socket.
      socket.setTimeout(0).unref()
      resume(Effect.succeed({ socket, closed }))
    }
    socket.setTimeout(KNOCK_MILLIS, () => socket.destroy())
    socket.on("connect", () => socket.write(`${token}\n`))
    socket.once("data", (answer) => (answer.toString().startsWith("welcome\n") ? welcome() : socket.destroy()))
    socket.on("error", () => socket.destroy())
    socket.on("close", () => {
      Deferred.doneUnsafe(closed, Effect.void)
      resume(Effect.fail("no watchdog"))
    })
    return Effect.sync(() => socket.destroy())
  })

const KNOCK_MILLIS = 3000

const leave = (hold: Hold) =>
  Effect.sync(() => hold.socket.ref().end()).pipe(
    Effect.andThen(Deferred.await(hold.closed)),
    Effect.timeoutOption("35 seconds"),
    Effect.andThen(Effect.sync(() => hold.socket.destroy()))
  )

const silent = (dataDir: string) =>
  new EmbeddedPostgresError({ operation: "join", problem: "silent", subject: dataDir, detail: "" })
