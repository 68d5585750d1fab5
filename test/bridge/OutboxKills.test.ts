import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { freshDatabase, layerSql } from "../support/database.ts"
import { killOutboxes, scriptedTarget } from "./OutboxKills.ts"

describe("the outbox under fire", () => {
  it.live(
    "10 times kill -9 while it writes and sends: 0 events missing, 0 twice, and the sequence goes on without a 409 (BEY-16, V8-01, V8-02, B-20, G12)",
    () =>
      Effect.gen(function* () {
        const found = yield* killOutboxes(10, yield* scriptedTarget)
        assert.isAtLeast(found.events, found.logged)
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layerSql("owner"), freshDatabase), { local: true })),
    240_000
  )
})
