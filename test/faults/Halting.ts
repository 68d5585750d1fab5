import { assert } from "@effect/vitest"
import { Effect, type Redacted } from "effect"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { TestDatabase } from "../support/database.ts"
import { patient } from "./Budgets.ts"
import * as Processes from "./Processes.ts"

/** One process that runs calls and one that halts them, which may reach the database by another way. */
export const pair = Effect.fnUntraced(function* (options: {
  readonly watcherUrl?: Redacted.Redacted<string>
  readonly options?: GovernanceOptions
}) {
  const { appUrl } = yield* TestDatabase
  const processes = yield* Processes.make
  const [watcher, operator] = yield* Effect.all(
    [
      processes.worker({
        name: "watcher",
        url: options.watcherUrl ?? appUrl,
        options: { ...patient, ...options.options }
      }),
      processes.worker({ name: "operator", url: appUrl, options: { ...patient, ...options.options } })
    ],
    { concurrency: "unbounded" }
  )
  yield* watcher.ask({ do: "policies", agent: "clerk", scope: { allowedTools: ["work"] } })
  return { watcher, operator, history: processes.history, processes }
})

/** How long after the halt was asked for the running call's AbortSignal fired in the other process, in milliseconds. */
export const haltOnce = Effect.fnUntraced(function* (watcher: Processes.Worker, operator: Processes.Worker) {
  const { ticket } = yield* watcher.ask({ do: "hold", agent: "clerk", session: "s", maxUsd: "0" })
  const { completedNs, invokedNs } = yield* operator.ask({ do: "halt", agent: "clerk" })
  const { abortedNs, end } = yield* watcher.ask({ do: "outcome", ticket })
  assert.strictEqual(end, "AgentHaltedError")
  if (abortedNs === null) return assert.fail("the AbortSignal did not fire")
  yield* operator.ask({ do: "resume", agent: "clerk" })
  const ms = (from: string) => Number(BigInt(abortedNs) - BigInt(from)) / 1e6
  return { sinceAsked: ms(invokedNs), sinceReturned: ms(completedNs) }
})

/** Admits as long as the halt is not seen here; then the agent is resumed and ready again. */
export const untilAdmitted = (watcher: Processes.Worker) =>
  Effect.gen(function* () {
    for (let i = 0; i < 1000; i++) {
      const { admitted } = yield* watcher.ask({
        do: "admit",
        agent: "clerk",
        session: "s",
        callers: 1,
        maxUsd: "0",
        lastsMs: 0
      })
      if (admitted === 1) return
      yield* Effect.sleep("20 millis")
    }
    return assert.fail("the resumed agent was never admitted again")
  })

export const percentile = (values: ReadonlyArray<number>, share: number) => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
