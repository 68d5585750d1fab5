import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { filled, stored } from "../audit/StoredChain.ts"
import { drawnFlips, drawnTamperings, flipEveryBit } from "../audit/Tamperings.ts"
import { freshDatabase } from "../support/database.ts"

const onPostgres = Effect.provide(stored.pipe(Layer.provideMerge(freshDatabase)), { local: true })

describe("A chain in Postgres (A-01, A-02, G3)", () => {
  it.live("every single bit of 200 rows, flipped, is found there", () =>
    Effect.gen(function* () {
      const { survivors, tried } = yield* flipEveryBit(yield* filled("s", 200, 7))
      if (process.env.FAULTS_REPORT !== undefined) console.log(`${tried} flips`)
      assert.deepStrictEqual(survivors, [])
      assert.isAbove(tried, 2_000_000)
    }).pipe(onPostgres)
  )

  it.live("10 000 drawn bits are found in the report of the whole chain (A-01)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* drawnFlips(10_000, 11), [])
    }).pipe(onPostgres)
  )

  it.live("10 000 drawn rearrangements are found in the report of the whole chain (A-03, A-08, A-09)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* drawnTamperings(10_000, 12)).survivors, [])
    }).pipe(onPostgres)
  )
})
