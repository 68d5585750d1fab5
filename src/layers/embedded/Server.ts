import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, statSync, truncateSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import type { Writable } from "node:stream"
import { Deferred, Effect, Option, Schedule } from "effect"
import type { Binaries } from "./Binaries.ts"
import type { Cluster } from "./Cluster.ts"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"
import { probe } from "./Probe.ts"
import { asAccount, type ServerAccount, serverEnvironment } from "./ServerAccount.ts"
import { HASTY, QUIET, serverPath } from "./ServerSettings.ts"

export interface Server {
  readonly pid: number
  readonly port: number
  readonly exited: Deferred.Deferred<void>
}

/** Starts the server on a loopback port, `wanted` if that is free, and waits until it answers; the scope's end stops it. */
export const startServer = Effect.fnUntraced(function* (options: ServerOptions) {
  const port = yield* freePort(options.wanted)
  const child = yield* Effect.acquireRelease(launch(options, port), stop)
  const died = Effect.andThen(
    Deferred.await(child.exited),
    new EmbeddedPostgresError({
      operation: "start",
      problem: "server",
      subject: options.dataDir,
      detail: "it ended at once"
    })
  )
  const ready = probe(port, options.cluster.credentials).pipe(
    Effect.retry(Schedule.spaced("30 millis")),
    Effect.timeout("2 minutes"),
    Effect.mapError(
      () => new EmbeddedPostgresError({ operation: "start", problem: "silent", subject: options.dataDir, detail: "" })
    )
  )
  yield* Effect.onError(Effect.raceFirst(ready, died), () => stop(child))
  return { pid: child.pid, port, exited: child.exited }
})

interface ServerOptions {
  readonly dataDir: string
  readonly cluster: Cluster
  readonly binaries: Binaries
  readonly account: Option.Option<ServerAccount>
  readonly durable: boolean
  readonly wanted: Option.Option<number>
}

interface Child extends Server {
  readonly process: ChildProcess
}

const launch = Effect.fnUntraced(function* (options: ServerOptions, port: number) {
  const exited = yield* Deferred.make<void>()
  const process = yield* attempt("start", "server", options.dataDir, () => {
    const log = openLog(join(options.dataDir, "server.log"))
    const child = spawn(
      "/bin/sh",
      ["-c", GUARDED, "effect-governance", options.binaries.postgres, ...settings(options, port)],
      {
        cwd: options.cluster.path,
        env: serverEnvironment,
        stdio: ["ignore", log, log, "pipe"],
        ...asAccount(options.account)
      }
    )
    closeSync(log)
    return child
  })
  process.stdio[3]?.on("error", () => {})
  process.on("error", () => Deferred.doneUnsafe(exited, Effect.void))
  process.on("exit", () => Deferred.doneUnsafe(exited, Effect.void))
  return { process, exited, port, pid: process.pid ?? 0 }
})

// The guard shares nothing with us but the pipe: when we die, however, it reads the end of the pipe and stops the server. It is
// forked before the server exists, and detached from it, because a server takes the death of an unknown child for a crash.
const GUARDED = `
pid=$$
( (
  if read -r _ <&3; then exit 0; fi
  kill -INT $pid; n=0
  while [ $n -lt 10 ] && kill -0 $pid; do sleep 1; n=$((n+1)); done
  kill -QUIT $pid
) >/dev/null 2>&1 & )
exec 3<&-
exec "$@"`

const settings = (options: ServerOptions, port: number): ReadonlyArray<string> => [
  "-D",
  serverPath(options.cluster.path, options.account),
  "-p",
  String(port),
  ...["-c", "listen_addresses=127.0.0.1", "-c", "password_encryption=scram-sha-256", "-c", "max_connections=200"],
  ...["-c", "timezone=UTC", "-c", "log_timezone=UTC"],
  ...QUIET,
  ...(options.durable ? ["-c", "fsync=on"] : HASTY)
]

const stop = Effect.fnUntraced(function* (child: Child) {
  for (const signal of SIGNALS) {
    child.process.kill(signal)
    if (Option.isSome(yield* Effect.timeoutOption(Deferred.await(child.exited), "10 seconds"))) break
  }
  const guard = child.process.stdio[3]
  if (guard !== null && guard !== undefined && "write" in guard) release(guard)
})

// Fast, immediate, and then without asking.
const SIGNALS = ["SIGINT", "SIGQUIT", "SIGKILL"] as const

const release = (guard: Writable): void => {
  guard.end("done\n")
}

const freePort = (wanted: Option.Option<number>) =>
  Effect.catch(listenOnce(Option.getOrElse(wanted, () => 0)), () => listenOnce(0))

const listenOnce = (port: number) =>
  Effect.callback<number, EmbeddedPostgresError>((resume) => {
    const server = createServer()
    const fail = (detail: string) =>
      resume(new EmbeddedPostgresError({ operation: "start", problem: "server", subject: `port ${port}`, detail }))
    server.on("error", (error) => fail(error.message))
    server.listen({ port, host: "127.0.0.1" }, () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === "object" ? resume(Effect.succeed(address.port)) : fail("no port")
      )
    })
  })

const openLog = (path: string): number => {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 1_000_000) truncateSync(path)
  return openSync(path, "a", 0o600)
}
