import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { Database } from "../../src/layers/postgres/Database.ts"
import * as TenantAsk from "../../src/layers/postgres/TenantAsk.ts"
import { platform, tenant } from "../platform/Serving.ts"
import { freshDatabase, layerSql } from "../support/database.ts"
import { killOutboxes, scriptedTarget } from "./OutboxKills.ts"

describe("the outbox under fire", () => {
  it.live(
    "100 times kill -9 while it writes and sends: 0 events missing, 0 twice, and no 409 (BEY-16, V8-01, V8-02, B-20, G12)",
    () =>
      Effect.gen(function* () {
        const found = yield* killOutboxes(100, yield* scriptedTarget)
        assert.isAtLeast(found.events, found.logged)
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layerSql("owner"), freshDatabase), { local: true })),
    1_800_000
  )
})

layer(platform, { excludeTestServices: true, timeout: "30 minutes" })(
  "the outbox under fire, and the real platform",
  (it) => {
    it.effect(
      "30 times kill -9: 0 events missing at the platform, 0 twice, and no 409 (BEY-16, V8-01, G12, P-01)",
      () =>
        Effect.gen(function* () {
          const { prefix } = yield* Database
          const ask = yield* TenantAsk.make("test")
          const { address } = yield* HttpServer.HttpServer
          const { token, workflow, workspace } = yield* tenant()
          const arrived = Effect.orDie(
            Effect.map(
              ask(
                "events",
                `SELECT event, instance, seq FROM ${prefix}governance_events WHERE workspace = $1 AND workflow = $2`,
                [workspace, workflow]
              ),
              (rows) =>
                rows.map(([event, instance, seq]) => ({ id: `${event}`, instance: `${instance}`, seq: Number(seq) }))
            )
          )
          const target = { port: "port" in address ? address.port : 0, token, arrived }
          const found = yield* killOutboxes(Number(process.env.OUTBOX_KILLS ?? 30), target).pipe(
            Effect.scoped,
            Effect.provide(Layer.provideMerge(layerSql("owner"), freshDatabase), { local: true })
          )
          // What comes twice may use up a place in the sequence.
          assert.isAtLeast(found.highest, found.events)
        })
    )
  }
)
