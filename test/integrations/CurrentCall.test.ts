import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { current, FiberCall, outside, within } from "../../src/integrations/CurrentCall.ts"
import type { LiveCall } from "../../src/integrations/LiveCall.ts"

// Only its identity and whether it is over are asked; what it encloses it runs.
const call = (isSettled = false) => ({ isSettled, enclose: (run: () => unknown) => run() }) as LiveCall

describe("The current call (THR-11)", () => {
  it("is that of the asynchronous context, until it is over", async () => {
    const live = call()
    assert.strictEqual(await within(live, async () => current()), live)
    assert.isUndefined(within(live, () => outside(() => current())))
    assert.isUndefined(within(call(true), () => current()))
    assert.isUndefined(current())
  })

  it.live("is that of an Effect fiber, wherever it is resumed from", () =>
    Effect.gen(function* () {
      const [a, b] = [call(), call()]
      const seen = Effect.andThen(
        Effect.sleep("5 millis"),
        Effect.sync(() => current())
      )
      const both = yield* Effect.all(
        [a, b].map((live) => Effect.provideService(seen, FiberCall, live)),
        { concurrency: 2 }
      )
      assert.strictEqual(both[0], a)
      assert.strictEqual(both[1], b)
      assert.isUndefined(yield* seen)
      assert.isUndefined(yield* Effect.provideService(seen, FiberCall, call(true)))
    })
  )

  it("of a fiber goes before that of the context; null is none", () => {
    const [outer, inner] = [call(), call()]
    const seen = (fiber: LiveCall | null | undefined) =>
      within(outer, () =>
        Effect.runSync(
          Effect.provideService(
            Effect.sync(() => current()),
            FiberCall,
            fiber
          )
        )
      )
    assert.strictEqual(seen(inner), inner)
    assert.strictEqual(seen(undefined), outer)
    assert.isUndefined(seen(null))
  })
})
