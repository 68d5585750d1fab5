import { Effect, Fiber, type Redacted, type Scope } from "effect"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import type * as Processes from "./Processes.ts"

type Fleet = Effect.Success<typeof Processes.make>

export interface Alive {
  /** Kills one writer with -9; another takes its place and writes the whole count again. */
  readonly killOne: Effect.Effect<void>
  readonly kills: () => number
}

/** Writers that append until each place has had its whole count acknowledged by one process, whatever `during` does to them. */
export const writeThrough = Effect.fnUntraced(function* <E, R>(
  processes: Fleet,
  options: {
    readonly url: Redacted.Redacted<string>
    readonly writers: number
    readonly count: number
    readonly fibers: number
    readonly chains: number
    readonly options?: GovernanceOptions
    readonly during: (alive: Alive) => Effect.Effect<void, E, R>
  }
) {
  const running: Array<Processes.Worker> = []
  const latenciesUs: Array<number> = []
  let acknowledged = 0
  let retries = 0
  let kills = 0
  let spawned = 0

  const spawn = Effect.suspend(() =>
    processes.worker({ name: `writer-${spawned++}`, url: options.url, options: options.options ?? {} })
  )

  const place = (i: number): Effect.Effect<void, Processes.WorkerFailure, Scope.Scope> =>
    Effect.gen(function* () {
      const worker = yield* spawn
      running[i] = worker
      const { count, chains, fibers } = options
      const done = yield* Effect.exit(
        worker.ask({ do: "append", sessions: "c", chains, count, fibers, how: "require" })
      )
      if (done._tag === "Success") {
        acknowledged += done.value.acknowledged
        retries += done.value.retries
        latenciesUs.push(...done.value.latenciesUs)
        return
      }
      // Only a kill of ours may end a writer before its time.
      const { code, signal } = yield* worker.exited
      if (signal !== "SIGKILL")
        return yield* Effect.die(new Error(`${worker.name} ended (${signal ?? code})\n${worker.said()}`))
      return yield* place(i)
    })

  const alive: Alive = {
    kills: () => kills,
    killOne: Effect.suspend(() => {
      const all = running.filter((worker) => worker !== undefined)
      const victim = all[kills % Math.max(1, all.length)]
      if (victim === undefined) return Effect.void
      kills++
      return Effect.ignore(Effect.andThen(victim.kill("SIGKILL"), victim.exited))
    })
  }

  const began = performance.now()
  const places = yield* Effect.forkChild(
    Effect.forEach(
      Array.from({ length: options.writers }, (_, i) => i),
      place,
      { concurrency: "unbounded", discard: true }
    )
  )
  // The fire begins when everybody writes.
  while (running.filter((worker) => worker !== undefined).length < options.writers) yield* Effect.sleep("20 millis")
  yield* options.during(alive)
  yield* Fiber.join(places)
  return { acknowledged, retries, kills, latenciesUs, seconds: (performance.now() - began) / 1000 }
})
