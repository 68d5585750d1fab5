import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { fleet, patient, raceForTen } from "./Budgets.ts"
import * as PgBouncer from "./PgBouncer.ts"
import * as Processes from "./Processes.ts"
import { admin, mustHold } from "./Truth.ts"

if (PgBouncer.binary === undefined)
  console.warn("F-14 is skipped: pgbouncer is not installed (apt-get install pgbouncer)")

describe.skipIf(PgBouncer.binary === undefined)("behind PgBouncer in transaction mode", () => {
  it.live("appends, budgets and halts of two processes hold on four server connections (F-14)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const url = yield* PgBouncer.make(appUrl, { servers: 4 })
      const options = { ...patient, pooler: true, haltCacheTtl: "500 millis" } as const
      const direct = yield* fleet({ count: 1, agent: "payer" })
      const processes = yield* Processes.make
      const [a, b] = yield* Effect.all(
        [processes.worker({ name: "pooled-a", url, options }), processes.worker({ name: "pooled-b", url, options })],
        { concurrency: "unbounded" }
      )
      for (const worker of [a, b]) {
        yield* worker.ask({ do: "policies", agent: "payer", scope: { allowedTools: ["work"] } })
      }
      const writing = yield* Effect.forkChild(
        Effect.forEach(
          [a, b],
          (worker) => worker.ask({ do: "append", sessions: "c", chains: 2, count: 600, fibers: 24, how: "require" }),
          { concurrency: "unbounded" }
        )
      )
      for (let run = 0; run < 3; run++) {
        assert.deepStrictEqual(yield* raceForTen([a, b], "payer", `run-${run}`), { admitted: 10, BudgetExceeded: 118 })
      }
      yield* Fiber.join(writing)
      const { ticket } = yield* a.ask({ do: "hold", agent: "payer", session: "halted", maxUsd: "0" })
      yield* b.ask({ do: "halt", agent: "payer" })
      // A pooler delivers no notification: the TTL is what is left.
      assert.strictEqual((yield* a.ask({ do: "outcome", ticket })).end, "AgentHaltedError")
      assert.deepStrictEqual(
        yield* admin(
          "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        ),
        [[0]]
      )
      const history = [...(yield* processes.history), ...(yield* direct.history)]
      yield* mustHold(history, {
        caps: { "payer run-0": 100_000_000n, "payer run-1": 100_000_000n, "payer run-2": 100_000_000n }
      })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
