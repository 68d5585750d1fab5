import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import { governedFetch } from "../../src/integrations/GovernedFetch.ts"
import * as Host from "../../src/integrations/Host.ts"
import { openAi } from "../../src/integrations/OpenAiProvider.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { Coverage } from "../../src/services/Coverage.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Routing } from "../../src/services/Routing.ts"
import { FakeProvider } from "../../src/testing/FakeProvider.ts"

const provider = Effect.acquireRelease(
  Effect.promise(() => FakeProvider.start()),
  (server) => Effect.promise(() => server.close())
)

describe("a call to a model", () => {
  it.live(
    "goes to the model that routing chose, without the tools that are hidden, and counts as covered (ROU-02, SCP-06, BEY-13)",
    () =>
      Effect.gen(function* () {
        const server = yield* provider
        const options = {
          warnOnNoWrappers: false,
          enableRouting: true,
          enableCoverage: true,
          workspaceSalt: "sixteen characters",
          coverageHosts: [new URL(server.url).host]
        }
        yield* Effect.gen(function* () {
          const policies = yield* Policies
          yield* policies.register("clerk", "scope", { hiddenTools: ["secret"] })
          yield* policies.register("clerk", "budget", { perSessionUsd: 1 })
          yield* (yield* Routing).register({ agentId: "clerk", mode: "rules", rules: { "gpt-4o": "gpt-4o-mini" } })
          const governance = yield* Host.make
          const fetch = governedFetch({ governance, agentId: "clerk", provider: openAi, refusal: "respond" })
          const client = new OpenAI({ apiKey: "none", baseURL: server.openAiUrl, fetch, maxRetries: 0 })
          const tool = (name: string) => ({ type: "function" as const, function: { name } })
          const ask = (model: string) =>
            client.chat.completions.create({
              model,
              max_tokens: 50,
              messages: [{ role: "user", content: "hi" }],
              tools: [tool("secret"), tool("refund")]
            })
          yield* Effect.promise(() => ask("gpt-4o"))
          assert.strictEqual(server.requests[0]?.body.model, "gpt-4o-mini")
          assert.deepStrictEqual(server.requests[0]?.body.tools, [tool("refund")])
          const raw = new OpenAI({ apiKey: "none", baseURL: server.openAiUrl, maxRetries: 0 })
          yield* Effect.promise(() => raw.chat.completions.create({ model: "gpt-4o", messages: [] }))
          const report = yield* (yield* Coverage).report
          assert.strictEqual(report.coveragePct, 0.5)
        }).pipe(Effect.provide(Memory.layer(options), { local: true }))
      }).pipe(Effect.scoped)
  )
})
