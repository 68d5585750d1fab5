import { assert, layer } from "@effect/vitest"
import { type Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import * as OperatorPolicies from "../../src/services/OperatorPolicies.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Routing } from "../../src/services/Routing.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

layer(Layer.provideMerge(layerSql("app"), freshDatabase), { excludeTestServices: true, timeout: "60 seconds" })(
  "Routing on Postgres",
  (it) => {
    const starting = Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const options = { enableRouting: true, testMode: true, warnOnNoWrappers: false, databaseUrl: appUrl }
      const services = Postgres.layer({ ...options, auditSecret: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU" })
      return yield* Layer.build(Layer.fresh(Layer.provideMerge(OperatorPolicies.layer, services)))
    })
    const agentId = "clerk"
    const suggest = <R>(process: Context.Context<R | Routing>, model: string) =>
      Effect.provide(
        Routing.use((routing) => routing.suggest({ agentId, sessionId: "s", model, provider: "openai" })),
        process
      )

    it.effect(
      "a policy of one process routes in another, by what both have spent; an operator's wins (ROU-01, ROU-02)",
      () =>
        Effect.gen(function* () {
          const [one, two] = [yield* starting, yield* starting]
          yield* Effect.gen(function* () {
            yield* (yield* Cost).register({ agentId, perAgentUsdDaily: 10 })
            yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"], allowedModels: ["gpt-4o*"] })
            yield* (yield* Routing).register({
              agentId,
              mode: "cost_aware",
              cheaperModels: [
                { model: "gpt-4o-mini", budgetRemainingPct: 50 },
                { model: "gpt-4.1-nano", budgetRemainingPct: 20 }
              ]
            })
            yield* (yield* Policies).stored([AgentId.make(agentId)])
          }).pipe(Effect.provide(one))
          yield* Effect.provide(
            Policies.use((policies) => policies.reload),
            two
          )
          assert.strictEqual(yield* suggest(two, "gpt-4o"), "gpt-4o")
          yield* Effect.provide(
            Cost.use((cost) => cost.track(agentId, "s", { tokens: 0, usd: 9 })),
            one
          )
          assert.strictEqual(yield* suggest(two, "gpt-4o"), "gpt-4o-mini")

          const body = { mode: "rules", rules: { "gpt-4o": "gpt-4o-2024-05-13" } }
          yield* Effect.gen(function* () {
            const operators = yield* OperatorPolicies.OperatorPolicies
            yield* operators.apply([{ agentId: AgentId.make(agentId), kind: "routing", body }], "ada")
            yield* (yield* Policies).reload
          }).pipe(Effect.provide(two))
          assert.strictEqual(yield* suggest(two, "gpt-4o"), "gpt-4o-2024-05-13")

          const sql = yield* SqlClient.SqlClient
          const rows = yield* sql.unsafe("SELECT source, version, body FROM governance_policies WHERE kind = 'routing'")
          assert.deepStrictEqual(rows, [{ source: "operator", version: 2n, body }])
          const audit = yield* Effect.provide(Audit, two)
          const kinds = (yield* audit.getEvents({ agentId: AgentId.make(agentId) })).map(({ kind }) => kind)
          for (const kind of ["routing.policy_changed", "routing.suggestion", "policy.changed"])
            assert.include(kinds, kind)
          assert.isTrue(yield* audit.verifyChain())
        }).pipe(Effect.scoped)
    )
  }
)
