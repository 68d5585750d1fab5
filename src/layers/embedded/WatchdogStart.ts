import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Deferred, Effect, Schema } from "effect"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"

/** What a watchdog is told. Without `keep` it deletes the whole directory when it ends. */
export const WatchdogOptions = Schema.Struct({ dataDir: Schema.String, durable: Schema.Boolean, keep: Schema.Boolean })
export type WatchdogOptions = typeof WatchdogOptions.Type

/** The one thing a watchdog answers on its standard output. */
export const WatchdogAnswer = Schema.TaggedUnion({ Ready: {}, Busy: {}, Failed: { error: EmbeddedPostgresError } })
export type WatchdogAnswer = typeof WatchdogAnswer.Type
export const WatchdogAnswerJson = Schema.fromJsonString(Schema.toCodecJson(WatchdogAnswer))
export const WatchdogOptionsJson = Schema.fromJsonString(Schema.toCodecJson(WatchdogOptions))

export interface StartedWatchdog {
  readonly pid: number
  readonly answer: Effect.Effect<WatchdogAnswer, EmbeddedPostgresError>
  /** Ends a watchdog that lost the race for the directory and still waits for its lock. */
  readonly kill: Effect.Effect<void>
}

/**
 * Starts a watchdog in a session of its own, so that no signal to us or to our terminal reaches it. Until the scope ends we hold it
 * by a pipe; by then a socket to it must be open, or it ends.
 */
export const startWatchdog = Effect.fnUntraced(function* (options: WatchdogOptions) {
  const answer = yield* Deferred.make<WatchdogAnswer, EmbeddedPostgresError>()
  const child = yield* Effect.acquireRelease(
    attempt("start", "server", options.dataDir, () => launch(options)),
    (child) => Effect.sync(() => letGo(child))
  )
  const ended = (detail: string) =>
    Deferred.doneUnsafe(
      answer,
      new EmbeddedPostgresError({ operation: "start", problem: "server", subject: options.dataDir, detail })
    )
  let said = ""
  child.stdout?.on("data", (chunk: Buffer) => {
    said += chunk.toString()
    if (said.endsWith("\n"))
      Deferred.doneUnsafe(answer, Effect.mapError(Schema.decodeEffect(WatchdogAnswerJson)(said), unreadable(options)))
  })
  child.stdin?.on("error", () => {})
  child.on("error", (error) => ended(error.message))
  child.on("close", (code, signal) => ended(`the watchdog ended with ${signal ?? code}`))
  const started: StartedWatchdog = {
    pid: child.pid ?? 0,
    answer: Deferred.await(answer),
    kill: Effect.sync(() => child.kill("SIGKILL"))
  }
  return started
})

const launch = (options: WatchdogOptions): ChildProcess => {
  const log = openSync(join(options.dataDir, "watchdog.log"), "a", 0o600)
  const child = spawn(process.execPath, [PROGRAM, Schema.encodeSync(WatchdogOptionsJson)(options)], {
    detached: true,
    cwd: "/",
    env: ENVIRONMENT,
    stdio: ["pipe", "pipe", log]
  })
  closeSync(log)
  return child
}

// It lives in the sources as TypeScript and in the package as JavaScript, beside this file in both.
const PROGRAM = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "./Watchdog.ts" : "./Watchdog.js", import.meta.url)
)

// It outlives us, so it gets none of our variables but where programs and temporary files are: they may hold keys.
const ENVIRONMENT = Object.fromEntries(
  ["PATH", "TMPDIR"].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
)

const letGo = (child: ChildProcess): void => {
  child.stdin?.destroy()
  child.stdout?.destroy()
  child.unref()
}

const unreadable = (options: WatchdogOptions) => () =>
  new EmbeddedPostgresError({
    operation: "start",
    problem: "server",
    subject: options.dataDir,
    detail: "the watchdog's answer is unreadable"
  })
