import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import * as Governed from "../../../src/integrations/LanguageModel.ts"
import * as Postgres from "../../../src/layers/Postgres.ts"
import { AgentScope } from "../../../src/services/AgentScope.ts"
import { Cost } from "../../../src/services/Cost.ts"
import { freshDatabase, TestDatabase } from "../../support/database.ts"
import { agentId, layerModel, layerProvider, requests, sessionId, spent } from "./World.ts"

const auditSecret = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })("A governed model on Postgres", (it) => {
  it.effect("20 calls at once on a budget for 4 are 4 requests (BEY-01, DEC-18)", () =>
    Effect.flatMap(TestDatabase, ({ appUrl }) =>
      Effect.gen(function* () {
        yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
        yield* (yield* Cost).register({ agentId, perSessionUsd: 0.00053 })
        const model = yield* Governed.make({ agentId, sessionId, maxOutputTokens: 200, model: "gpt-4o-mini" }).pipe(
          Effect.provide(layerModel(FetchHttpClient.layer))
        )
        const all = yield* Effect.all(
          Array.from({ length: 20 }, () => Effect.exit(model.generateText({ prompt: "hi" }))),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(all.filter(({ _tag }) => _tag === "Success").length, 4)
        assert.strictEqual(yield* requests, 4)
        assert.isAtMost(yield* spent(), 530_000)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            layerProvider({ usage: null }),
            Postgres.layer({ databaseUrl: appUrl, auditSecret, testMode: true, warnOnNoWrappers: false })
          ),
          { local: true }
        )
      )
    )
  )
})
