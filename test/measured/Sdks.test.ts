import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import { figureText } from "../../src/schema/Coverage.ts"
import { Coverage } from "../../src/services/Coverage.ts"
import { memory } from "../services/World.ts"
import { llmServer } from "./LlmServer.ts"

const salt = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"
const message = { role: "user", content: "hi" } as const

describe("Clients of language models as they are installed (BEY-13, WRP-09)", () => {
  it.effect("10 calls of wrapped clients and 2 of clients that somebody made beside them are 83.3 %", () =>
    Effect.gen(function* () {
      const { asked, host, url } = yield* llmServer
      yield* Effect.gen(function* () {
        const coverage = yield* Coverage
        const governedFetch: typeof fetch = (input, init) =>
          coverage.send(input instanceof Request ? input.url : input, () => fetch(input, init))
        const openai = (options: object) => new OpenAI({ apiKey: "k", baseURL: url, ...options })
        const anthropic = (options: object) => new Anthropic({ apiKey: "k", baseURL: url, ...options })
        const askOpenAi = (client: OpenAI) =>
          client.chat.completions.create({ model: "gpt-4o", max_tokens: 5, messages: [message] })
        const askAnthropic = (client: Anthropic) =>
          client.messages.create({ model: "claude-test", max_tokens: 5, messages: [message] })
        const wrapped = [openai({ fetch: governedFetch }), anthropic({ fetch: governedFetch })] as const
        yield* Effect.promise(() =>
          Promise.all([
            ...Array.from({ length: 5 }, () => askOpenAi(wrapped[0])),
            ...Array.from({ length: 5 }, () => askAnthropic(wrapped[1])),
            askOpenAi(openai({})),
            askAnthropic(anthropic({}))
          ])
        )
        const report = yield* coverage.report
        assert.deepInclude(report, { governed: 10, raw: 2 })
        assert.strictEqual(figureText(report), "83.3 %")
      }).pipe(Effect.provide(memory({ enableCoverage: true, workspaceSalt: salt, coverageHosts: [host] })))
      const names = (agent: string) =>
        asked
          .filter((headers) => String(headers["user-agent"]).startsWith(agent))
          .map((headers) => Object.keys(headers))
      for (const agent of ["OpenAI", "Anthropic"]) {
        const [first, ...others] = names(agent)
        assert.lengthOf(others, 5)
        // The headers of a wrapped call are those of a raw one.
        for (const each of others) assert.deepStrictEqual(each, first)
      }
    })
  )
})
