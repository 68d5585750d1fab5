import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { fleet } from "./Budgets.ts"
import { tell } from "./Facts.ts"
import * as FaultProxy from "./FaultProxy.ts"
import * as Processes from "./Processes.ts"
import { admin, mustHold, storedRows } from "./Truth.ts"
import { scratch, until } from "./Waiting.ts"

const states = admin(
  "SELECT state, count(*)::int FROM governance_tickets WHERE state <> 'refused' GROUP BY 1 ORDER BY 1"
)

describe("processes that pause or end, at length", () => {
  it.live(
    "an event loop that is blocked for 5 s loses its own lease and nobody else's; nothing is settled twice (F-20)",
    () =>
      Effect.gen(function* () {
        const { history, workers } = yield* fleet({ count: 2, agent: "payer", options: { leaseDuration: "2 seconds" } })
        const [blocked, other] = workers
        if (blocked === undefined || other === undefined) return assert.fail("two workers")
        const call = { agent: "payer", session: "s", maxUsd: "0.02" }
        const mine = yield* blocked.ask({ do: "hold", ...call })
        const theirs = yield* other.ask({ do: "hold", ...call })
        const blocking = yield* Effect.forkChild(blocked.ask({ do: "block", ms: 5000 }))
        for (let i = 0; i < 20; i++) {
          yield* other.ask({ do: "sweep" })
          yield* Effect.sleep("200 millis")
        }
        assert.deepStrictEqual(yield* states, [
          ["open", 1],
          ["orphaned", 1]
        ])
        yield* Fiber.join(blocking)
        yield* blocked.ask({ do: "release", ticket: mine.ticket })
        yield* other.ask({ do: "release", ticket: theirs.ticket })
        yield* blocked.ask({ do: "outcome", ticket: mine.ticket })
        yield* other.ask({ do: "outcome", ticket: theirs.ticket })
        assert.deepStrictEqual(yield* states, [["spent", 2]])
        assert.deepStrictEqual(
          yield* admin("SELECT used_usd::text, held_usd::text FROM governance_cost_counters WHERE scope = 's:s'"),
          [["40000000", "0"]]
        )
        yield* mustHold(yield* history, { caps: { "payer s": 100_000_000n } })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("a process that stands still for 60 s finds halts and leases as they are when it goes on (F-17, H-05)", () =>
    Effect.gen(function* () {
      const { history, workers } = yield* fleet({ count: 2, agent: "payer", options: { leaseDuration: "5 seconds" } })
      const [sleeper, other] = workers
      if (sleeper === undefined || other === undefined) return assert.fail("two workers")
      const { ticket } = yield* sleeper.ask({ do: "hold", agent: "payer", session: "s", maxUsd: "0.02" })
      yield* sleeper.kill("SIGSTOP")
      // The sweep of the other process finds it by itself.
      yield* Effect.sleep("60 seconds")
      assert.deepStrictEqual(yield* states, [["orphaned", 1]])
      yield* other.ask({ do: "halt", agent: "payer" })
      yield* sleeper.kill("SIGCONT")
      const began = performance.now()
      assert.strictEqual((yield* sleeper.ask({ do: "outcome", ticket })).end, "AgentHaltedError")
      tell("halt seen after SIGCONT, ms", { ms: performance.now() - began })
      const late = yield* sleeper.ask({
        do: "admit",
        agent: "payer",
        session: "s",
        callers: 4,
        maxUsd: "0",
        lastsMs: 0
      })
      assert.deepStrictEqual(late, { admitted: 0, refused: { AgentHaltedError: 4 } })
      yield* mustHold(yield* history, { caps: { "payer s": 100_000_000n } })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "SIGTERM during an outage leaves the events on disk; the next process stores them, once (F-16, AUD-16, OQ-14)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const proxy = yield* FaultProxy.make(appUrl)
        const processes = yield* Processes.make
        const options = { fallbackDir: yield* scratch }
        const first = yield* processes.worker({ name: "first", url: proxy.url, options })
        yield* first.ask({ do: "append", sessions: "c", chains: 2, count: 50, fibers: 8, how: "log" })
        yield* proxy.set({ refuse: true })
        yield* proxy.reset
        yield* first.ask({ do: "append", sessions: "c", chains: 2, count: 200, fibers: 50, how: "log" })
        assert.isAbove((yield* first.ask({ do: "stats" })).waiting, 0)
        yield* first.kill("SIGTERM")
        assert.isNull((yield* first.exited).signal)

        const second = yield* processes.worker({ name: "second", url: appUrl, options })
        yield* second.ask({ do: "heartbeat", agent: "clerk" })
        yield* until(Effect.map(storedRows, (rows) => rows.length === 250))
        yield* mustHold(yield* processes.history, { complete: true })
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
