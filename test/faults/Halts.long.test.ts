import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { spread, tell } from "./Facts.ts"
import * as FaultProxy from "./FaultProxy.ts"
import { haltOnce, pair, percentile, untilAdmitted } from "./Halting.ts"
import { mustHold } from "./Truth.ts"

const halts = Effect.fnUntraced(function* (
  count: number,
  { operator, watcher }: Effect.Success<ReturnType<typeof pair>>
) {
  const took: Array<number> = []
  const afterReturn: Array<number> = []
  for (let i = 0; i < count; i++) {
    const { sinceAsked, sinceReturned } = yield* haltOnce(watcher, operator)
    took.push(sinceAsked)
    afterReturn.push(sinceReturned)
    yield* untilAdmitted(watcher)
  }
  return { took, afterReturn }
})

describe("halts across processes, at length", () => {
  it.live("99 of 100 are seen by another process within 500 ms with notifications (H-04, V8-07, G8)", () =>
    Effect.gen(function* () {
      const processes = yield* pair({ options: { haltCacheTtl: "1 minute" } })
      const { afterReturn, took } = yield* halts(300, processes)
      tell("halt to AbortSignal, ms, with notifications", {
        sinceAsked: spread(took),
        sinceReturned: spread(afterReturn)
      })
      assert.isBelow(percentile(took, 0.99), 500)
      yield* mustHold(yield* processes.history)
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("all are seen within the default TTL of 5 s without notifications (H-04, PRS-06)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const proxy = yield* FaultProxy.make(appUrl)
      yield* proxy.set({ only: "governance listen", blackHole: "both" })
      const processes = yield* pair({ watcherUrl: proxy.url })
      const { took } = yield* halts(8, processes)
      tell("halt to AbortSignal, ms, by the TTL of 5 s", spread(took))
      assert.isBelow(Math.max(...took), 6000)
      yield* mustHold(yield* processes.history)
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
