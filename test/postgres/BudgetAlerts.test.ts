import { assert, describe, it, layer } from "@effect/vitest"
import { ConfigProvider, type Context, Effect, Exit, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import * as Memory from "../../src/layers/Memory.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import type { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { type Governor, governed } from "../../src/services/Governor.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { env, receiver } from "../egress/AlertReceiver.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const withEnv = Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

type Process = Context.Context<AgentScope | Audit | Cost | Governor>
const allow = (process: Process, agentId: string, budget: object) =>
  Effect.gen(function* () {
    yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
    yield* (yield* Cost).register({ agentId, ...budget })
  }).pipe(Effect.provide(process))
const spend = (process: Process, agentId: string, usd: number) =>
  Effect.void.pipe(governed({ agentId, sessionId: "today", tool: "pay", maxUsd: usd }), Effect.provide(process))

const until = <E, R>(is: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (let i = 0; i < 2_000; i++) {
      if (yield* is) return
      yield* Effect.sleep(10)
    }
    assert.fail("never happened")
  })

describe("Budget alerts in memory", () => {
  it.live("the layer tells a real receiver over loopback, and only when it is switched on (CFG-09, WHK-01)", () =>
    Effect.gen(function* () {
      const { budget, heard, options } = yield* receiver
      const off = yield* Layer.build(Layer.fresh(Memory.layer({ ...options, costWebhooksEnabled: false })))
      const on = yield* Layer.build(Layer.fresh(Memory.layer(options)))
      for (const [process, agentId] of [
        [off, "off"],
        [on, "on"]
      ] as const) {
        yield* allow(process, agentId, budget)
        yield* spend(process, agentId, 85)
      }
      yield* until(Effect.sync(() => heard.length > 0))
      yield* Effect.sleep(1500)
      assert.deepStrictEqual(
        heard.map(({ agent_id, cap_id }) => `${agent_id} ${cap_id}`),
        ["on perAgentUsdDaily"]
      )
    }).pipe(Effect.scoped, withEnv)
  )
})

layer(Layer.provideMerge(layerSql("app"), freshDatabase), { excludeTestServices: true, timeout: "60 seconds" })(
  "Budget alerts on Postgres",
  (it) => {
    const starting = (options: GovernanceOptions) =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const all = { ...options, databaseUrl: appUrl, auditSecret: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU" }
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(Layer.fresh(Postgres.layer(all)), scope)
        return { context, stop: Scope.close(scope, Exit.void) }
      })

    it.effect(
      "four processes that cross together send one alert, and a restart on the same day sends none (WHK-03, V8-05, C-26)",
      () =>
        Effect.gen(function* () {
          const { budget, heard, options } = yield* receiver
          const sql = yield* SqlClient.SqlClient
          const processes = yield* Effect.forEach([1, 2, 3, 4], () => starting(options))
          yield* until(Effect.map(sql`SELECT 1 FROM governance_readers WHERE begun`, (rows) => rows.length === 1))
          const agents = ["clerk", "second"]
          for (const agent of agents) yield* allow(processes[0]!.context, agent, budget)
          const calls = processes.flatMap(({ context }) =>
            agents.flatMap((agent) => Array.from({ length: 22 }, () => spend(context, agent, 1)))
          )
          // The scope of an agent is asked in the process that calls.
          for (const { context } of processes.slice(1)) for (const agent of agents) yield* allow(context, agent, budget)
          yield* Effect.all(calls, { concurrency: 16, discard: true })
          yield* until(Effect.sync(() => heard.length >= agents.length))

          // One leads the reading; whoever takes over has nothing to tell.
          yield* processes[0]!.stop
          yield* processes[1]!.stop
          yield* spend(processes[2]!.context, "clerk", 1)
          yield* spend(processes[3]!.context, "second", 1)
          // Amounts that are added without a call are looked at by the process that adds them.
          yield* Cost.use((cost) => cost.track("clerk", "today", { tokens: 0, usd: 1 })).pipe(
            Effect.provide(processes[3]!.context)
          )
          yield* Effect.sleep(4000)
          yield* processes[2]!.stop
          yield* processes[3]!.stop
          const restarted = yield* starting(options)
          yield* allow(restarted.context, "clerk", budget)
          yield* spend(restarted.context, "clerk", 1)
          yield* allow(restarted.context, "third", budget)
          yield* spend(restarted.context, "third", 81)
          yield* until(Effect.sync(() => heard.some(({ agent_id }) => agent_id === "third")))
          yield* Effect.sleep(1000)
          yield* restarted.stop
          assert.deepStrictEqual(heard.map(({ agent_id, cap_id }) => `${agent_id} ${cap_id}`).sort(), [
            "clerk perAgentUsdDaily",
            "second perAgentUsdDaily",
            "third perAgentUsdDaily"
          ])
        }).pipe(Effect.scoped, withEnv)
    )

    it.effect("a restart loses no crossing that nobody was there to tell of (WHK-03, INV-4)", () =>
      Effect.gen(function* () {
        const { budget, heard, options } = yield* receiver
        yield* (yield* starting(options)).stop
        const silent = yield* starting({ ...options, costWebhooksEnabled: false })
        yield* allow(silent.context, "lonely", budget)
        yield* spend(silent.context, "lonely", 90)
        yield* silent.stop
        assert.deepStrictEqual(heard, [])
        const next = yield* starting(options)
        yield* until(Effect.sync(() => heard.length > 0))
        yield* next.stop
        assert.strictEqual(heard[0]?.agent_id, "lonely")
      }).pipe(Effect.scoped, withEnv)
    )
  }
)
