import { createOpenAI } from "@ai-sdk/openai"
import { Anthropic as AnthropicClient } from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { ChatOpenAI } from "@langchain/openai"
import { generateText } from "ai"
import { Effect } from "effect"
import OpenAIClient from "openai"
import { wrapAgtAgent } from "../../src/integrations/AgentFramework.ts"
import * as AiSdk from "../../src/integrations/AiSdk.ts"
import * as Anthropic from "../../src/integrations/Anthropic.ts"
import { governedFetch } from "../../src/integrations/GovernedFetch.ts"
import * as Host from "../../src/integrations/Host.ts"
import * as LangChain from "../../src/integrations/LangChain.ts"
import * as OpenAi from "../../src/integrations/OpenAi.ts"
import { openAi } from "../../src/integrations/OpenAiProvider.ts"
import { governTool, useTool } from "../../src/integrations/Tool.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { isHaltError } from "../../src/schema/GovernanceError.ts"
import { Presence } from "../../src/services/Presence.ts"
import { FakeProvider } from "../../src/testing/FakeProvider.ts"

const messages = [{ role: "user" as const, content: "hi" }]

/** One way into every wrapper, as a program takes it; effect/ai, MCP and the agents SDK have tests of their own. */
const doors = (governance: Host.Host, { openAiUrl, url }: FakeProvider, ran: () => void) => {
  const who = { governance, agentId: "clerk", sessionId: "s" }
  const tool = { ...who, tool: "refund" }
  const openai = OpenAi.governWith(new OpenAIClient({ apiKey: "none", baseURL: openAiUrl }), who)
  const anthropic = Anthropic.governWith(new AnthropicClient({ apiKey: "none", baseURL: url }), who)
  const model = AiSdk.governWith(createOpenAI({ apiKey: "none", baseURL: openAiUrl }).chat("gpt-4o"), who)
  const chat = LangChain.governWith(
    new ChatOpenAI({ model: "gpt-4o", apiKey: "none", maxRetries: 0, configuration: { baseURL: openAiUrl } }),
    who
  )
  const agent = wrapAgtAgent(
    {
      async run() {
        ran()
      }
    },
    who
  )
  return {
    governTool: () => governTool(tool, ran)(undefined),
    useTool: () => useTool(tool, {}, ran),
    governedFetch: () =>
      governedFetch({ ...who, provider: openAi })(`${openAiUrl}/chat/completions`, {
        method: "POST",
        body: JSON.stringify({ model: "gpt-4o", messages })
      }),
    OpenAi: () => openai.chat.completions.create({ model: "gpt-4o", messages }),
    Anthropic: () => anthropic.messages.create({ model: "claude-sonnet-4-6", max_tokens: 5, messages }),
    AiSdk: () => generateText({ model, prompt: "hi" }),
    LangChain: () => chat.invoke("hi"),
    wrapAgtAgent: () => agent.run()
  }
}

describe("every door into the wrappers", () => {
  it.live("is shut for a halted agent: nothing is sent and nothing runs (PRS-06, WRP-02, BEY-05)", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => FakeProvider.start()),
        (one) => Effect.promise(() => one.close())
      )
      yield* (yield* Presence).halt("clerk", { by: "op", reason: "stop" })
      let runs = 0
      const all = doors(yield* Host.make, server, () => void runs++)
      for (const [name, enter] of Object.entries(all)) {
        const error = yield* Effect.promise(() =>
          enter().then(
            () => "went through",
            (refusal: unknown) => refusal
          )
        )
        assert.isTrue(isHaltError(error), `${name}: ${String(error)}`)
      }
      assert.deepStrictEqual({ requests: server.requests.length, runs }, { requests: 0, runs: 0 })
    }).pipe(Effect.scoped, Effect.provide(Memory.layer({ warnOnNoWrappers: false }), { local: true }))
  )
})
