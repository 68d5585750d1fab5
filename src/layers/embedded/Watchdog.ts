import { rmSync } from "node:fs"
import { join } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Deferred, Effect, Option, Schedule, Schema } from "effect"
import { prepareBinaries } from "./Binaries.ts"
import { prepareCluster } from "./Cluster.ts"
import { readConnection, removeConnection, writeConnection } from "./ConnectionFile.ts"
import { EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"
import { type Holders, listenForHolders } from "./Holders.ts"
import { takeLock } from "./Lock.ts"
import { clearOrphan } from "./Orphan.ts"
import { startServer } from "./Server.ts"
import { findServerAccount } from "./ServerAccount.ts"
import { type WatchdogAnswer, WatchdogAnswerJson, type WatchdogOptions, WatchdogOptionsJson } from "./WatchdogStart.ts"

/**
 * The small program that owns an embedded server (design.md 6). It holds the data directory's lock, starts the server, lets openers
 * in, and stops the server when the last of them has gone, when it is told to end, or when the server itself has ended.
 */
const main = Effect.gen(function* () {
  const options = yield* Schema.decodeUnknownEffect(WatchdogOptionsJson)(process.argv[2])
  if (!(yield* takeLock(join(options.dataDir, "lock"), LOCK_MILLIS))) return yield* say({ _tag: "Busy" })
  const holders = yield* listenForHolders(process.stdin)
  yield* Effect.raceFirst(Effect.scoped(serve(options, holders)), Deferred.await(holders.gone)).pipe(
    Effect.ensuring(options.keep ? Effect.void : discard(options.dataDir))
  )
})

const serve = Effect.fnUntraced(function* (options: WatchdogOptions, holders: Holders) {
  const { dataDir, durable } = options
  const stale = yield* readConnection(dataDir)
  const account = yield* findServerAccount
  const binaries = yield* prepareBinaries(account)
  yield* clearOrphan(join(dataDir, "cluster"))
  const cluster = yield* prepareCluster({ dataDir, binaries, account, durable })
  // The port of a server that was lost is asked for again: the pools of openers that still live then heal by themselves.
  const wanted = Option.map(stale, (connection) => connection.server.port)
  const start = { dataDir, cluster, binaries, account, durable }
  const server = yield* startServer({ ...start, wanted }).pipe(
    Effect.catch(() =>
      startServer({ ...start, wanted: Option.none() }).pipe(
        Effect.retry({ times: 4, schedule: Schedule.spaced("500 millis") })
      )
    )
  )
  const facts = {
    version: 1 as const,
    watchdog: { pid: process.pid, port: holders.port, token: holders.token },
    server: { pid: server.pid, port: server.port },
    credentials: cluster.credentials
  }
  // A server that ended by itself leaves its file: the next one reads the port there, and openers find out that nobody answers.
  yield* Effect.acquireRelease(writeConnection(dataDir, facts), () =>
    Effect.flatMap(Deferred.isDone(server.exited), (ended) => (ended ? Effect.void : removeConnection(dataDir)))
  )
  yield* say({ _tag: "Ready" })
  yield* Deferred.await(server.exited)
})

const LOCK_MILLIS = 5000

// An opener that has gone must not take us along: what it no longer reads is dropped.
const say = (answer: WatchdogAnswer) =>
  Effect.sync(() => {
    process.stdout.write(`${Schema.encodeSync(WatchdogAnswerJson)(answer)}\n`)
  })

const discard = (dataDir: string) =>
  Effect.ignore(Effect.try(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 })))

const failed = (cause: unknown) =>
  say({
    _tag: "Failed",
    error:
      cause instanceof EmbeddedPostgresError
        ? cause
        : new EmbeddedPostgresError({
            operation: "start",
            problem: "server",
            subject: "the watchdog",
            detail: String(cause)
          })
  })

process.umask(0o077)
process.stdout.on("error", () => {})
process.on("SIGHUP", () => {})

// Sockets of openers may still be open, on purpose; ending the process is what closes them.
const end = Effect.sync(() => process.exit(0))

NodeRuntime.runMain(main.pipe(Effect.catch(failed), Effect.ensuring(end)))
