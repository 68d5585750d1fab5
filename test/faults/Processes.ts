import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Data, Deferred, Effect, Redacted } from "effect"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { type History, parse } from "../../src/testing/History.ts"
import type { AnswerOf, Command, Told } from "./Commands.ts"

/** The process ended, or said no, before it had answered. */
export class WorkerFailure extends Data.TaggedError("WorkerFailure")<{
  readonly worker: string
  readonly problem: string
}> {
  override get message() {
    return `${this.worker}: ${this.problem}`
  }
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Worker {
  readonly name: string
  readonly pid: number
  readonly ask: <const C extends Command>(command: C) => Effect.Effect<AnswerOf<C>, WorkerFailure>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly exited: Effect.Effect<Ended>
  /** What it wrote to its standard output and error. */
  readonly said: () => string
}

export interface WorkerOptions {
  readonly name: string
  readonly url: Redacted.Redacted<string>
  readonly options?: GovernanceOptions
  readonly env?: Readonly<Record<string, string>>
  readonly execArgv?: ReadonlyArray<string>
}

/** One for all processes of a test file, as a deployment has it. */
export const auditSecret = randomBytes(48).toString("base64")

/** Spawns the children of one test and keeps their histories; all of them are killed with the scope. */
export const make = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-governance-history-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

  const worker = Effect.fnUntraced(function* (options: WorkerOptions) {
    const exited = yield* Deferred.make<Ended>()
    const ready = yield* Deferred.make<void, WorkerFailure>()
    const waiting = new Map<number, (told: Told) => void>()
    let said = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => launch(options, directory)),
      (child) =>
        Effect.suspend(() => {
          child.kill("SIGKILL")
          return Deferred.await(exited)
        })
    )
    const failure = (problem: string) => new WorkerFailure({ worker: options.name, problem })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        if (said.length < 200_000) said += chunk.toString()
      })
    }
    child.on("message", (told: Told) => {
      if ("ready" in told) return Deferred.doneUnsafe(ready, Effect.void)
      waiting.get(told.id)?.(told)
      waiting.delete(told.id)
    })
    // Not `exit`: its last words may still be on their way then.
    child.on("close", (code, signal) => {
      Deferred.doneUnsafe(exited, Effect.succeed({ code, signal }))
      Deferred.doneUnsafe(ready, Effect.fail(failure(`ended at start (${signal ?? code})\n${said}`)))
      for (const [id, resume] of waiting) resume({ id, error: `ended (${signal ?? code})` })
      waiting.clear()
    })
    let asked = 0
    const ask = <C extends Command>(command: C) =>
      Effect.callback<AnswerOf<C>, WorkerFailure>((resume) => {
        const id = ++asked
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.fail(failure("has ended")))
        waiting.set(id, (told) =>
          resume(
            "value" in told
              ? // The answer has the shape of its command: `Worker.ts` is held to it by its types.
                Effect.succeed(told.value as AnswerOf<C>)
              : Effect.fail(failure("error" in told ? told.error : "no answer"))
          )
        )
        child.send({ id, command }, (error) => {
          if (error !== null && waiting.delete(id)) resume(Effect.fail(failure(error.message)))
        })
      })
    yield* Deferred.await(ready)
    const found: Worker = {
      name: options.name,
      pid: child.pid ?? 0,
      ask,
      kill: (signal) => Effect.sync(() => void child.kill(signal)),
      exited: Deferred.await(exited),
      said: () => said
    }
    return found
  })

  /** Everything that the processes of this test wrote down so far. */
  const history: Effect.Effect<History> = Effect.sync(() => {
    const texts = readdirSync(directory)
      .filter((name) => name.endsWith(".jsonl"))
      .map((name) => readFileSync(join(directory, name), "utf8"))
    const { history, unreadable } = parse(texts)
    if (unreadable > 0) throw new Error(`${unreadable} lines of the history cannot be read`)
    return history
  })

  return { worker, history, directory }
})

const program = fileURLToPath(new URL("./Worker.ts", import.meta.url))

const launch = (options: WorkerOptions, directory: string): ChildProcess =>
  spawn(process.execPath, [...(options.execArgv ?? []), program], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: {
      PATH: process.env.PATH,
      NODE_NO_WARNINGS: "1",
      GOVERNANCE_TEST_MODE: "1",
      GOVERNANCE_DATABASE_URL: Redacted.value(options.url),
      GOVERNANCE_AUDIT_SECRET: auditSecret,
      ...options.env,
      WORKER_NAME: options.name,
      WORKER_OPTIONS: JSON.stringify(options.options ?? {}),
      WORKER_HISTORY: join(directory, `${options.name}.jsonl`)
    }
  })
