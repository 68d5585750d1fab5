import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshDatabase } from "../support/database.ts"
import { rotateUnderFire } from "./Rotating.ts"

describe("rotations while others write, long", () => {
  it.live("twenty, under four processes (K-03, G17)", () =>
    Effect.gen(function* () {
      const done = yield* rotateUnderFire({ processes: 4, rotations: 20, events: 500 })
      assert.strictEqual(done.acknowledged, 4 * 20 * 500)
      yield* Effect.log(`${done.acknowledged} events, ${done.perSecond} a second, ${done.verdicts} verdicts`)
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
