import { createOpenAI } from "@ai-sdk/openai"
import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { ChatOpenAI } from "@langchain/openai"
import { OpenAIProvider } from "@openai/agents"
import OpenAI from "openai"
import * as AiSdk from "../../src/integrations/AiSdk.ts"
import { governTools } from "../../src/integrations/AiSdkTools.ts"
import { governWith as anthropicWith } from "../../src/integrations/Anthropic.ts"
import { governedFetch } from "../../src/integrations/GovernedFetch.ts"
import type { Host } from "../../src/integrations/Host.ts"
import * as LangChain from "../../src/integrations/LangChain.ts"
import { governWith as openAiWith } from "../../src/integrations/OpenAi.ts"
import * as OpenAiAgents from "../../src/integrations/OpenAiAgents.ts"
import { openAi } from "../../src/integrations/OpenAiProvider.ts"
import { governTool } from "../../src/integrations/Tool.ts"
import { openWorld } from "./ClientWorld.ts"

interface Who {
  readonly governance: Host
  readonly agentId: string
}

const apiKey = "none"
const wrappers: Record<string, (who: Who) => unknown> = {
  openai: (who) => openAiWith(new OpenAI({ apiKey }), who),
  anthropic: (who) => anthropicWith(new Anthropic({ apiKey }), who),
  "ai-sdk": (who) => AiSdk.governWith(createOpenAI({ apiKey }), who),
  "ai-sdk as a middleware": AiSdk.governance,
  "ai-sdk's tools": (who) => governTools({}, who),
  langchain: (who) => LangChain.governWith(new ChatOpenAI({ apiKey, model: "gpt-4o" }), who),
  "langchain's tools": LangChain.middleware,
  "openai-agents": (who) => OpenAiAgents.governWith(new OpenAIProvider({ apiKey }), who),
  fetch: (who) => governedFetch({ ...who, provider: openAi }),
  "any tool": (who) => governTool({ ...who, tool: "refund" }, () => 1)
}

const thrown = (run: () => unknown): { readonly _tag?: string; readonly setting?: string } => {
  try {
    run()
  } catch (error) {
    return error as object
  }
  throw new Error("did not throw")
}

describe("Whoever forgets for whom he governs, in plain JavaScript", () => {
  for (const [name, wrap] of Object.entries(wrappers))
    it(`is told so when he wraps: ${name} (ERR-14, WRP-01)`, async () => {
      await using world = await openWorld()
      const { governance } = world
      // What plain JavaScript lets through.
      const odd = (who: unknown) => thrown(() => wrap(who as Who))
      for (const who of [{ agentId: "clerk" }, { agentId: "clerk", governance: {} }])
        assert.include(odd(who), { _tag: "ConfigurationError", setting: "governance" })
      for (const who of [{ governance }, { governance, agentId: "" }, { governance, agentId: "a".repeat(257) }])
        assert.include(odd(who), { _tag: "ConfigurationError", setting: "agentId" })
      assert.doesNotThrow(() => wrap({ governance, agentId: "clerk" }))
    })
})

describe("A wrapper that is given what it does not know", () => {
  it("says so when it wraps: a model of another LangChain, or none (ENT-16)", async () => {
    await using world = await openWorld()
    const who = { governance: world.governance, agentId: "clerk" }
    // A model of LangChain 0 streams no events.
    const older = { _generate: () => {}, _streamResponseChunks: () => {}, getLsParams: () => ({}) }
    for (const model of [older, {}]) {
      const error = thrown(() => LangChain.governWith(model as never, who))
      assert.include(error, { _tag: "ConfigurationError", setting: "model" })
    }
  })
})
