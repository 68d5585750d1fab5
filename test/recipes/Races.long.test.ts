import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { race, races } from "./Racing.ts"

describe("governance recipe, against a thread that swaps directories for links", () => {
  for (const what of races) {
    it.effect(`writes nothing outside in 100 000 swaps of the ${what} (L-02, G25)`, () =>
      Effect.gen(function* () {
        const { refused, written } = yield* race(what, 100_000)
        assert.isAbove(refused, 100)
        assert.isAbove(written, 0)
      })
    )
  }
})
