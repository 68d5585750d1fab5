import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { generousPlatform } from "./Serving.ts"
import { storm } from "./StormDrill.ts"

layer(generousPlatform, { excludeTestServices: true, timeout: "1800 seconds" })(
  "Two thousand clients that come back",
  (it) => {
    it.effect("get all of it through, in order, without a collapse (P-06)", () =>
      Effect.gen(function* () {
        const { ratio, retryAfter, statuses } = yield* storm(2_000, 10, 1_000)
        console.info(
          `goodput of 2,000 clients is ${ratio.toFixed(2)} of that of 8; answers ${JSON.stringify([...statuses])}`
        )
        assert.deepStrictEqual(
          [...statuses.keys()].filter((status) => ![0, 200, 408, 503].includes(status)),
          []
        )
        assert.isAbove(new Set(retryAfter).size, 3)
        // Who waits as long as they are told leaves the server idle at the end; a collapse would be far below.
        assert.isAbove(ratio, 0.1)
      })
    )
  }
)
