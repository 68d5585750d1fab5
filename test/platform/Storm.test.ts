import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { generousPlatform, send } from "./Serving.ts"
import { storm } from "./StormDrill.ts"

layer(generousPlatform, { excludeTestServices: true, timeout: "300 seconds" })(
  "A crowd of clients that come back",
  (it) => {
    it.effect("is let in as far as it can be served; all of it arrives, in order, and nothing collapses (P-06)", () =>
      Effect.gen(function* () {
        const { ratio, retryAfter, statuses } = yield* storm(600, 10)
        console.info(
          `goodput of 600 clients is ${ratio.toFixed(2)} of that of 8; answers ${JSON.stringify([...statuses])}`
        )
        assert.deepStrictEqual(
          [...statuses.keys()].filter((status) => ![200, 503].includes(status)),
          []
        )
        // More came at once than may be inside, so some were asked to come again, and not all at the same time.
        assert.isAbove(statuses.get(503) ?? 0, 0)
        assert.isAbove(new Set(retryAfter).size, 3)
        for (const seconds of retryAfter) assert.isTrue(Number.isInteger(seconds) && seconds >= 1 && seconds <= 8)
        // A collapse is an order of magnitude; the measured ratio is printed.
        assert.isAbove(ratio, 0.25)
        assert.strictEqual((yield* send("GET", "/health")).status, 200)
      })
    )
  }
)
