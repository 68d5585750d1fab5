import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { patient } from "./Budgets.ts"
import { tell } from "./Facts.ts"
import * as Processes from "./Processes.ts"

describe("approvals and several processes, at length", () => {
  it.live(
    "100 racers in 4 processes on each of 200 tokens: 200 grants; 100 users of each approval: 200 runs (T-02, BEY-02, I5, G6)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const processes = yield* Processes.make
        const workers = yield* Effect.forEach(
          [0, 1, 2, 3],
          (i) => processes.worker({ name: `approver-${i}`, url: appUrl, options: patient }),
          { concurrency: "unbounded" }
        )
        const everywhere = <A, E>(act: (worker: Processes.Worker) => Effect.Effect<A, E>) =>
          Effect.forEach(workers, act, { concurrency: "unbounded" })
        let [grants, runs] = [0, 0]
        const began = performance.now()
        // No more than 100 requests of one agent wait at once (T-12).
        for (const agent of ["payer-1", "payer-2"]) {
          yield* everywhere((worker) =>
            worker.ask({
              do: "policies",
              agent,
              scope: { allowedTools: ["pay"] },
              gate: { requireApproval: ["pay"], expiresAfter: 86_400 },
              operator: "olga"
            })
          )
          const { tokens } = yield* workers[0]!.ask({ do: "ask", agent, count: 100 })
          assert.strictEqual(new Set(tokens).size, 100)
          for (const [n, token] of tokens.entries()) {
            for (const { granted } of yield* everywhere((worker) => worker.ask({ do: "grant", token, racers: 25 }))) {
              grants += granted
            }
            for (const { ran } of yield* everywhere((worker) => worker.ask({ do: "use", agent, n, racers: 25 }))) {
              runs += ran
            }
            assert.deepStrictEqual([grants, runs], [grants, grants], `${agent} ${n}`)
          }
        }
        tell("approvals", { tokens: 200, grants, runs, racers: 40_000, seconds: (performance.now() - began) / 1000 })
        assert.deepStrictEqual([grants, runs], [200, 200])
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true })),
    { timeout: 900_000 }
  )
})
