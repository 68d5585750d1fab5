/** The contract of `RateLimitStore` (PLT-03, OQ-28, P-06). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { RateLimitStore } from "../services/RateLimitStore.ts"

const bucket = () => `bucket-${globalThis.crypto.randomUUID()}`
const rate = { limit: 3, windowMs: 1_000 }

/** Registers the tests. */
export const suite = <E>(name: string, stores: Layer.Layer<RateLimitStore, E>) =>
  layerTest(stores, { excludeTestServices: true, timeout: "60 seconds" })(`RateLimitStore (${name})`, (it) => {
    it.effect("counts to the limit, then says how long the window lasts, and begins anew (PLT-03)", () =>
      Effect.gen(function* () {
        const store = yield* RateLimitStore
        const one = bucket()
        for (const at of [0, 1, 2]) assert.isNull(yield* store.take(one, rate, 1, at))
        assert.strictEqual(yield* store.take(one, rate, 1, 400), 600)
        assert.isNull(yield* store.take(bucket(), rate, 1, 400))
        assert.isNull(yield* store.take(one, rate, 1, 1_000))
        assert.strictEqual(yield* store.take(one, rate, 3, 1_100), 900)
      })
    )

    it.effect("lets exactly as many through as the limit says, however many come at once (P-06)", () =>
      Effect.gen(function* () {
        const store = yield* RateLimitStore
        const one = bucket()
        const taken = yield* Effect.forEach(Array.from({ length: 20 }), () => store.take(one, rate, 1, 5), {
          concurrency: "unbounded"
        })
        assert.strictEqual(taken.filter((wait) => wait === null).length, 3)
        yield* store.sweep(0)
        assert.isNotNull(yield* store.take(one, rate, 1, 6))
        yield* store.sweep(6)
        assert.isNull(yield* store.take(one, rate, 1, 7))
      })
    )
  })
