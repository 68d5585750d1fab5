import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshDatabase } from "../support/database.ts"
import { killRotations } from "./KilledRotations.ts"
import { rotateUnderFire } from "./Rotating.ts"

describe("rotations while others write, long", () => {
  it.live("twenty, under four processes (K-03, G17)", () =>
    Effect.gen(function* () {
      const done = yield* rotateUnderFire({ processes: 4, rotations: 20, events: 500 })
      assert.strictEqual(done.acknowledged, 4 * 20 * 500)
      yield* Effect.log(`${done.acknowledged} events, ${done.perSecond} a second, ${done.verdicts} verdicts`)
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("kill -9 of the command, at forty moments (K-05)", () =>
    Effect.gen(function* () {
      const { killed } = yield* killRotations(40)
      assert.isAtLeast(killed, 10)
      yield* Effect.log(`${killed} of 40 were killed`)
    }).pipe(Effect.scoped)
  )
})
