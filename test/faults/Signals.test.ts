import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { acknowledgedIsStored } from "../../src/testing/Checkers.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { fleet, patient, raceForTen } from "./Budgets.ts"
import * as FaultProxy from "./FaultProxy.ts"
import * as Processes from "./Processes.ts"
import { admin, mustHold, storedRows } from "./Truth.ts"
import { scratch, until } from "./Waiting.ts"

describe("a process that is told to end, or to wait", () => {
  it.live("SIGTERM drains: the process ends by itself, and what it acknowledged is stored (F-16)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const processes = yield* Processes.make
      const worker = yield* processes.worker({ name: "drained", url: appUrl })
      yield* worker.ask({ do: "policies", agent: "clerk", scope: { allowedTools: ["work"] } })
      yield* worker.ask({ do: "hold", agent: "clerk", session: "held", maxUsd: "0.01" })
      const writing = yield* Effect.forkChild(
        Effect.exit(worker.ask({ do: "append", sessions: "c", chains: 2, count: 100_000, fibers: 64, how: "log" }))
      )
      yield* Effect.sleep("500 millis")
      const began = performance.now()
      yield* worker.kill("SIGTERM")
      // Whoever is impatient changes nothing.
      yield* Effect.sleep("50 millis")
      yield* worker.kill("SIGTERM")
      const { signal } = yield* worker.exited
      assert.isNull(signal)
      assert.isBelow(performance.now() - began, 8000)
      yield* Fiber.join(writing)
      yield* mustHold(yield* processes.history, { caps: {} })
      // The call that was running is settled and has its outcome: nothing is left for the sweep.
      assert.deepStrictEqual(yield* admin("SELECT count(*)::int FROM governance_tickets WHERE state = 'open'"), [[0]])
      assert.deepStrictEqual(
        yield* admin(
          "SELECT count(*)::int FROM governance_audit_events WHERE kind = 'tool.result' AND session = 'held'"
        ),
        [[1]]
      )
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("kill -9 during an outage loses nothing that was acknowledged to the disk (F-01, AUD-16)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const proxy = yield* FaultProxy.make(appUrl)
      const processes = yield* Processes.make
      const options = { fallbackDir: yield* scratch, auditDeadline: "200 millis" } as const
      const first = yield* processes.worker({ name: "first", url: proxy.url, options })
      yield* proxy.set({ refuse: true })
      yield* proxy.reset
      const writing = yield* Effect.forkChild(
        Effect.exit(first.ask({ do: "append", sessions: "c", chains: 2, count: 1_000_000, fibers: 50, how: "log" }))
      )
      yield* until(Effect.map(processes.history, (history) => history.some(({ outcome }) => outcome === "ok")))
      yield* Effect.sleep("200 millis")
      yield* first.kill("SIGKILL")
      yield* Fiber.join(writing)
      yield* first.exited

      const history = yield* processes.history
      yield* processes.worker({ name: "second", url: appUrl, options })
      yield* until(
        Effect.map(storedRows, (rows) => acknowledgedIsStored(history, rows, { complete: false }).length === 0)
      )
      yield* mustHold(history)
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "a process that was stopped past its lease sees the halt at once, and its late outcome replaces the charge (F-17, H-05, BEY-06)",
    () =>
      Effect.gen(function* () {
        const { history, workers } = yield* fleet({
          count: 2,
          agent: "payer",
          options: { leaseDuration: "1 second", haltCacheTtl: "1 second" }
        })
        const [sleeper, other] = workers
        if (sleeper === undefined || other === undefined) return assert.fail("two workers")
        const call = { agent: "payer", session: "s", maxUsd: "0.02" }
        const { ticket } = yield* sleeper.ask({ do: "hold", ...call })
        yield* sleeper.kill("SIGSTOP")
        const state = admin("SELECT state, settled_usd::text FROM governance_tickets WHERE ticket = $1::uuid", [ticket])
        yield* until(
          Effect.gen(function* () {
            yield* other.ask({ do: "sweep" })
            return (yield* state)[0]?.[0] === "orphaned"
          })
        )
        yield* other.ask({ do: "halt", agent: "payer" })
        yield* sleeper.kill("SIGCONT")
        const { abortedNs, end } = yield* sleeper.ask({ do: "outcome", ticket })
        assert.strictEqual(end, "AgentHaltedError")
        assert.isNotNull(abortedNs)
        yield* until(Effect.map(state, ([row]) => row?.[0] === "spent"))
        assert.deepStrictEqual(yield* state, [["spent", "20000000"]])
        yield* mustHold(yield* history, { caps: { "payer s": 100_000_000n } })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "clocks that are a day ahead and a day behind change neither budgets nor leases: the database's counts (F-18)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const { history, processes, workers } = yield* fleet({ count: 1, agent: "payer" })
        const shifted = yield* Effect.forEach(
          [86_400_000, -86_400_000],
          (ms) =>
            processes.worker({
              name: `shifted-${ms}`,
              url: appUrl,
              options: patient,
              execArgv: ["--import", `data:text/javascript,const now=Date.now;Date.now=()=>now()+(${ms})`]
            }),
          { concurrency: "unbounded" }
        )
        const [ahead, behind] = shifted
        const [straight] = workers
        if (ahead === undefined || behind === undefined || straight === undefined) return assert.fail("three workers")
        for (const worker of shifted) {
          yield* worker.ask({ do: "policies", agent: "payer", scope: { allowedTools: ["work"] } })
        }
        const { ticket } = yield* behind.ask({ do: "hold", agent: "payer", session: "leased", maxUsd: "0.01" })
        assert.deepStrictEqual(yield* ahead.ask({ do: "sweep" }), { recovered: 0, orphaned: 0 })
        yield* behind.ask({ do: "release", ticket })
        assert.deepStrictEqual(yield* raceForTen([ahead, behind, straight], "payer", "s"), {
          admitted: 10,
          BudgetExceeded: 182
        })
        assert.deepStrictEqual(
          yield* admin("SELECT count(DISTINCT day)::int FROM governance_tickets WHERE state <> 'refused'"),
          [[1]]
        )
        yield* ahead.ask({ do: "halt", agent: "payer" })
        yield* until(
          Effect.map(
            behind.ask({ do: "admit", agent: "payer", session: "t", callers: 1, maxUsd: "0", lastsMs: 0 }),
            ({ refused }) => refused.AgentHaltedError === 1
          )
        )
        yield* mustHold(yield* history, { caps: { "payer s": 100_000_000n } })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
