import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import * as PooledRandom from "../../src/services/PooledRandom.ts"

describe("PooledRandom", () => {
  it.effect("never hands out the same bytes twice, over many pages and in every size", () =>
    Effect.gen(function* () {
      const random = yield* SecureRandom.SecureRandom
      const seen = new Set<string>()
      for (let i = 0; i < 20_000; i++) {
        const bytes = yield* random.randomBytes(10 + (i % 7))
        seen.add(Buffer.from(bytes.subarray(0, 10)).toString("hex"))
      }
      assert.strictEqual(seen.size, 20_000)
      const large = yield* random.randomBytes(100_000)
      assert.isAbove(new Set(large).size, 250)
    }).pipe(Effect.provide(PooledRandom.layer))
  )

  it.effect("makes ids that sort by time and never repeat", () =>
    Effect.gen(function* () {
      const random = yield* SecureRandom.SecureRandom
      const ids = new Set<string>()
      for (let i = 0; i < 10_000; i++) ids.add(yield* random.uuidV7())
      assert.strictEqual(ids.size, 10_000)
    }).pipe(Effect.provide(PooledRandom.layer))
  )
})
