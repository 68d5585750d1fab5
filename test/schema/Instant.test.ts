import { assert, describe, it } from "@effect/vitest"
import { isoOf } from "../../src/schema/Instant.ts"

describe("isoOf", () => {
  it.each([
    0, -1, 1, 951_782_399_999, 951_782_400_000, 4_107_542_400_000, 8.64e15, -8.64e15, -62_167_219_200_000,
    -62_167_219_200_001, 253_402_300_799_999, 253_402_300_800_000
  ])("writes %d as the platform does (AUD-04)", (ms) => assert.strictEqual(isoOf(ms), new Date(ms).toISOString()))

  it("agrees with the platform on 200,000 moments of all years", () => {
    let state = 1
    for (let i = 0; i < 200_000; i++) {
      state = (state * 48_271) % 2_147_483_647
      const ms = Math.floor((state / 2_147_483_647 - 0.5) * 2 * 8.64e15)
      if (isoOf(ms) !== new Date(ms).toISOString()) assert.strictEqual(isoOf(ms), new Date(ms).toISOString())
    }
  })
})
