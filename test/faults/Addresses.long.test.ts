import { assert, it } from "@effect/vitest"
import { disagreements } from "../egress/Oracle.ts"

it("the guard agrees with an independent table on a million random addresses (B-02, G10)", () => {
  assert.deepStrictEqual(disagreements(1_000_000, 1_000_003), [])
})
