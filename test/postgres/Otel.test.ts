import { assert, layer } from "@effect/vitest"
import { type Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { AgentScope, governed, Presence } from "../../src/index.ts"
import * as Otel from "../../src/integrations/Otel.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { collector } from "../integrations/Collector.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })("OpenTelemetry export on Postgres", (it) => {
  it.effect(
    "each process tells of its own calls, and of what all of them and the commands do one process of all (OTL-01)",
    () =>
      Effect.gen(function* () {
        const received = yield* collector()
        const { appUrl } = yield* TestDatabase
        const governance = Postgres.layer({
          databaseUrl: appUrl,
          auditSecret: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU",
          testMode: true,
          warnOnNoWrappers: false
        })
        const exporter = Otel.layer({ baseUrl: received.url, interval: "20 millis" })
        const one = yield* Layer.build(Layer.fresh(Layer.provideMerge(exporter, governance)))
        const two = yield* Layer.build(Layer.fresh(Layer.provideMerge(exporter, governance)))
        const command = yield* Layer.build(Layer.fresh(governance))
        const sql = yield* SqlClient.SqlClient
        yield* until(Effect.map(sql`SELECT 1 FROM governance_readers WHERE begun`, (rows) => rows.length === 1))

        yield* call("refund", one)
        yield* call("search", two)
        yield* Presence.Presence.use((presence) => presence.halt("clerk", { by: "rita", reason: "looks wrong" })).pipe(
          Effect.provide(command)
        )
        const names = () => received.spans().map(({ name }) => name)
        yield* until(Effect.sync(() => names().includes("agent.halted") && names().length >= 3))
        yield* Effect.sleep("1500 millis")
        assert.deepStrictEqual([...names()].sort(), ["agent.halted", "execute_tool refund", "execute_tool search"])
      }).pipe(Effect.scoped, Effect.provide(layerSql("app")))
  )
})

const call = (tool: string, process: Context.Context<Layer.Success<ReturnType<typeof Postgres.layer>>>) =>
  AgentScope.AgentScope.use((scope) => scope.register({ agentId: "clerk", allowedTools: ["refund", "search"] })).pipe(
    Effect.andThen(governed({ agentId: "clerk", sessionId: "order-7", tool })(Effect.void)),
    Effect.provide(process)
  )

const until = <E, R>(is: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (let i = 0; i < 1_000; i++) {
      if (yield* is) return
      yield* Effect.sleep(10)
    }
    assert.fail("never happened")
  })
