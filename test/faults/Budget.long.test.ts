import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshDatabase } from "../support/database.ts"
import { fleet, raceForTen } from "./Budgets.ts"
import { tell } from "./Facts.ts"
import { mustHold } from "./Truth.ts"

describe("a budget and several processes, at length", () => {
  it.live(
    "exactly 10 of 256 callers in 4 processes pass, in 20 runs of 20, each process with another cap in its code (BEY-01, G5)",
    () =>
      Effect.gen(function* () {
        const { history, workers } = yield* fleet({ count: 4, agent: "payer" })
        const caps: Record<string, bigint> = {}
        const began = performance.now()
        for (let run = 0; run < 20; run++) {
          caps[`payer run-${run}`] = 100_000_000n
          const total = yield* raceForTen(workers, "payer", `run-${run}`)
          assert.deepStrictEqual(total, { admitted: 10, BudgetExceeded: 246 }, `run ${run}`)
        }
        tell("races for ten", { runs: 20, callers: 20 * 256, seconds: (performance.now() - began) / 1000 })
        yield* mustHold(yield* history, { caps })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "the same for an agent that no process has used before, with the same cap in every code (BEY-01, BEY-09)",
    () =>
      Effect.gen(function* () {
        const { history, workers } = yield* fleet({ count: 4, agent: "payer" })
        const caps: Record<string, bigint> = {}
        for (let run = 0; run < 20; run++) {
          const agent = `new-${run}`
          caps[`${agent} s`] = 100_000_000n
          yield* Effect.forEach(
            workers,
            (worker) =>
              worker.ask({
                do: "policies",
                agent,
                scope: { allowedTools: ["work"] },
                budget: { perSessionUsd: "0.10" }
              }),
            { concurrency: "unbounded" }
          )
          const total = yield* raceForTen(workers, agent, "s")
          assert.deepStrictEqual(total, { admitted: 10, BudgetExceeded: 246 }, `run ${run}`)
        }
        yield* mustHold(yield* history, { caps })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
