import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import * as FaultProxy from "./FaultProxy.ts"
import { haltOnce, pair, untilAdmitted } from "./Halting.ts"
import { admin, mustHold } from "./Truth.ts"

const ttlMs = 1000

describe("a halt and several processes", () => {
  it.live(
    "interrupts a call in another process, whose AbortSignal fires at once by notification (H-04, V8-07, BEY-02)",
    () =>
      Effect.gen(function* () {
        // With a TTL of a minute nothing but the notification can be the cause.
        const { history, operator, watcher } = yield* pair({ options: { haltCacheTtl: "1 minute" } })
        for (let i = 0; i < 10; i++) {
          const { sinceAsked } = yield* haltOnce(watcher, operator)
          assert.isBelow(sinceAsked, 1000)
          yield* untilAdmitted(watcher)
        }
        yield* mustHold(yield* history)
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "is seen within the TTL by a process whose listener is a black hole, running calls included (H-04, PRS-06, F-06)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const proxy = yield* FaultProxy.make(appUrl)
        yield* proxy.set({ only: "governance listen", blackHole: "both" })
        const { history, operator, watcher } = yield* pair({
          watcherUrl: proxy.url,
          options: { haltCacheTtl: ttlMs }
        })
        const { sinceAsked } = yield* haltOnce(watcher, operator)
        assert.isBelow(sinceAsked, ttlMs + 1000)
        yield* untilAdmitted(watcher)
        yield* mustHold(yield* history)
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("lets no call be admitted after it has committed, however stale a process is (H-01, BEY-02)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const proxy = yield* FaultProxy.make(appUrl)
      yield* proxy.set({ only: "governance listen", blackHole: "both" })
      const { history, operator, watcher } = yield* pair({
        watcherUrl: proxy.url,
        options: { haltCacheTtl: "1 minute" }
      })
      for (let round = 0; round < 4; round++) {
        const racing = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 12 }), () =>
            watcher.ask({ do: "admit", agent: "clerk", session: "s", callers: 16, maxUsd: "0", lastsMs: 0 })
          )
        )
        yield* Effect.sleep(15 + 20 * round)
        yield* operator.ask({ do: "halt", agent: "clerk" })
        yield* Fiber.join(racing)
        const late = yield* admin(
          `SELECT count(t.ticket)::int, bool_and(r.halts ? 'clerk') FROM governance_trees r LEFT JOIN governance_tickets t
               ON t.root = r.root AND t.state <> 'refused' AND t.opened_at > (r.halts -> 'clerk' ->> 'at')::timestamptz + interval '1 ms'`
        )
        assert.deepStrictEqual(late, [[0, true]])
        yield* operator.ask({ do: "resume", agent: "clerk" })
        yield* watcher.ask({ do: "sweep" })
      }
      yield* mustHold(yield* history)
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
