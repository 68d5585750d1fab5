import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Outbox from "../../src/integrations/OtelOutbox.ts"

const rig = (deliver: (batch: ReadonlyArray<number>) => Effect.Effect<Duration.Duration>) =>
  Outbox.make<number>({
    capacity: 10,
    batchSize: 4,
    interval: Duration.seconds(1),
    patience: Duration.millis(100),
    deliver,
    last: () => [99]
  })

describe("the room between the log and a collector", () => {
  it.live("holds at most its capacity, and gives up the oldest (OTL-01)", () =>
    Effect.gen(function* () {
      const outbox = yield* rig(() => Effect.never)
      yield* Effect.yieldNow
      for (let i = 0; i < 1_000; i++) outbox.push(i)
      assert.strictEqual(outbox.dropped(), 990)
      // The end of the scope waits for a collector that never answers no longer than it may.
    })
  )

  it.effect("sends in batches, waits for others first, and pauses after trouble (OTL-01)", () =>
    Effect.gen(function* () {
      const sent: Array<ReadonlyArray<number>> = []
      const outbox = yield* rig((batch) =>
        Effect.sync(() => {
          sent.push(batch)
          return sent.length === 2 ? Duration.seconds(60) : Duration.zero
        })
      )
      outbox.push(1)
      yield* TestClock.adjust("900 millis")
      assert.deepStrictEqual(sent, [])
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(sent, [[1]])
      for (let i = 2; i < 9; i++) outbox.push(i)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(sent, [[1], [2, 3, 4, 5]])
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(sent, [[1], [2, 3, 4, 5], [6, 7, 8]])
    })
  )

  it.effect("sends what is left when the program ends, even out of a pause (OTL-01)", () =>
    Effect.gen(function* () {
      const sent: Array<number> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const outbox = yield* rig((batch) =>
            Effect.sync(() => {
              sent.push(...batch)
              return Duration.hours(1)
            })
          )
          for (let i = 1; i < 7; i++) outbox.push(i)
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(sent, [1, 2, 3, 4])
        })
      )
      assert.deepStrictEqual(sent, [1, 2, 3, 4, 5, 6, 99])
    })
  )
})
