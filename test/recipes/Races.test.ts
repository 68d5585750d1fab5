import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { race, races } from "./Racing.ts"

describe("governance recipe, against a thread that swaps directories for links", () => {
  for (const what of races) {
    it.effect(
      `writes nothing outside in 3000 swaps of the ${what} (L-02, G25)`,
      () =>
        Effect.gen(function* () {
          const { refused, written } = yield* race(what, 3000)
          assert.isAbove(refused + written, 10)
        }),
      120_000
    )
  }
})
