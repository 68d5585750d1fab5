import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshDatabase } from "../support/database.ts"
import { killRotations } from "./KilledRotations.ts"
import { rotateUnderFire } from "./Rotating.ts"

describe("rotations while others write", () => {
  it.live(
    "three, under two processes: no append is refused, nothing is lost, every verdict is ok, tokens resolve (K-03, G17, ROT-08)",
    () =>
      Effect.gen(function* () {
        const { acknowledged } = yield* rotateUnderFire({ processes: 2, rotations: 3, events: 300 })
        assert.strictEqual(acknowledged, 2 * 3 * 300)
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true })),
    120_000
  )

  it.live(
    "kill -9 of the command, at two moments: whoever starts then writes and verifies (K-05)",
    () => killRotations(2).pipe(Effect.scoped),
    180_000
  )
})
