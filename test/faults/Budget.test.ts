import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshDatabase } from "../support/database.ts"
import { fleet, raceForTen } from "./Budgets.ts"
import { admin, mustHold } from "./Truth.ts"

describe("a budget and several processes", () => {
  it.live(
    "4 processes with 64 callers each, each with another cap in its code: exactly 10 pass, what the operator stored (BEY-01, DEC-21)",
    () =>
      Effect.gen(function* () {
        const { history, workers } = yield* fleet({ count: 4, agent: "payer" })
        const caps: Record<string, bigint> = {}
        for (let run = 0; run < 3; run++) {
          const session = `run-${run}`
          caps[`payer ${session}`] = 100_000_000n
          assert.deepStrictEqual(yield* raceForTen(workers, "payer", session), { admitted: 10, BudgetExceeded: 246 })
        }
        yield* mustHold(yield* history, { caps })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true })),
    60_000
  )

  it.live("delegates in several processes draw on the day of the one who delegated to them (BEY-01, BEY-09)", () =>
    Effect.gen(function* () {
      const { history, workers } = yield* fleet({ count: 2, agent: "root", stored: { perAgentUsdDaily: "0.10" } })
      const children = workers.map((_, i) => `child-${i}`)
      const [first] = workers
      // Who delegates must be known: its first call makes it so.
      yield* first?.ask({ do: "admit", agent: "root", session: "r", callers: 1, maxUsd: "0", lastsMs: 0 }) ??
        Effect.void
      const own = { perSessionUsd: "0.30", perAgentUsdDaily: "0.30" }
      yield* Effect.forEach(workers, (worker, i) =>
        Effect.gen(function* () {
          const child = children[i] ?? ""
          yield* worker.ask({ do: "delegate", parent: "root", child })
          yield* worker.ask({ do: "policies", agent: child, scope: { allowedTools: ["work"] }, budget: own })
        })
      )
      const answers = yield* Effect.forEach(
        workers,
        (worker, i) =>
          worker.ask({
            do: "admit",
            agent: children[i] ?? "",
            session: `s-${i}`,
            callers: 64,
            maxUsd: "0.01",
            lastsMs: 5
          }),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(
        answers.reduce((sum, { admitted }) => sum + admitted, 0),
        10
      )
      const [used] = yield* admin(
        "SELECT sum(used_usd)::text FROM governance_cost_counters WHERE agent = 'root' AND scope LIKE 'd:%'"
      )
      assert.deepStrictEqual(used, ["100000000"])
      yield* mustHold(yield* history)
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "a holder that is killed with -9 keeps its hold until the lease ends; then it is charged and recorded as orphaned (BEY-01, BEY-06, F-01)",
    () =>
      Effect.gen(function* () {
        const { history, workers } = yield* fleet({ count: 2, agent: "payer", options: { leaseDuration: "2 seconds" } })
        const [doomed, survivor] = workers
        if (doomed === undefined || survivor === undefined) return assert.fail("two workers")
        const call = { agent: "payer", session: "one", maxUsd: "0.01" }
        for (let i = 0; i < 3; i++) yield* doomed.ask({ do: "hold", ...call })
        yield* doomed.kill("SIGKILL")
        assert.strictEqual((yield* doomed.exited).signal, "SIGKILL")
        const during = yield* survivor.ask({ do: "admit", ...call, callers: 32, lastsMs: 0 })
        assert.deepStrictEqual(during, { admitted: 7, refused: { BudgetExceeded: 25 } })

        const orphans = admin("SELECT count(*)::int FROM governance_audit_events WHERE kind = 'call.orphaned'")
        const swept = Effect.gen(function* () {
          for (let i = 0; i < 100; i++) {
            yield* survivor.ask({ do: "sweep" })
            if ((yield* orphans)[0]?.[0] === 3) return
            yield* Effect.sleep("100 millis")
          }
        })
        yield* swept
        assert.deepStrictEqual(yield* orphans, [[3]])
        assert.deepStrictEqual(
          yield* admin(
            "SELECT used_usd::text, held_usd::text FROM governance_cost_counters WHERE agent = 'payer' AND scope = 's:one'"
          ),
          [["100000000", "0"]]
        )
        const after = yield* survivor.ask({ do: "admit", ...call, callers: 8, lastsMs: 0 })
        assert.deepStrictEqual(after, { admitted: 0, refused: { BudgetExceeded: 8 } })
        // Each call has an attempt and, beside it, an outcome or the record that nobody knows it.
        assert.deepStrictEqual(
          yield* admin(`
            SELECT count(*)::int FROM governance_audit_events a WHERE a.kind = 'tool.call' AND NOT EXISTS
              (SELECT 1 FROM governance_audit_events o WHERE o.chain = a.chain AND o.parent = a.id)`),
          [[0]]
        )
        yield* mustHold(yield* history, { caps: { "payer one": 100_000_000n } })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true })),
    60_000
  )
})
