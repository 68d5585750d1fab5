import { assert, describe, it } from "@effect/vitest"
import * as agents from "@openai/agents"
import OpenAI from "openai"
import { z } from "zod"
import { governTool, governWith } from "../../src/integrations/OpenAiAgents.ts"
import { agentId, type FrameworkWorld, openWorld, rejection, sessionId, tagOf } from "./FrameworkWorld.ts"

agents.setTracingDisabled(true)

const who = (world: FrameworkWorld) => ({ governance: world.governance, agentId, sessionId })
const provider = (world: FrameworkWorld, over: object = {}) =>
  governWith(
    new agents.OpenAIProvider({
      openAIClient: new OpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl, maxRetries: 0 }),
      ...over
    }),
    who(world)
  )
const clerk = (over: object = {}) =>
  new agents.Agent({ name: "Clerk", model: "gpt-4o", modelSettings: { maxTokens: 50 }, ...over })

/** What runs agents: each makes one request, as one governed call. */
const governed: Record<string, (world: FrameworkWorld) => Promise<unknown>> = {
  Runner: (world) => new agents.Runner({ modelProvider: provider(world) }).run(clerk(), "Well?"),
  run: async (world) => {
    agents.setDefaultModelProvider(provider(world))
    return agents.run(clerk(), "Well?")
  },
  setDefaultModelProvider: async (world) => {
    agents.setDefaultModelProvider(provider(world))
    return new agents.Runner().run(clerk(), "Well?")
  },
  OpenAIProvider: async (world) => {
    const model = await provider(world).getModel("gpt-4o")
    const request = { input: "Well?", modelSettings: { maxTokens: 50 }, tools: [], handoffs: [] }
    const asked = { ...request, outputType: "text", tracing: false } as const
    return agents.withTrace("one", () => model.getResponse(asked))
  },
  // An agent that is another one's tool runs by the same provider, where it gets the same runner.
  Agent: async (world) => {
    const runner = new agents.Runner({ modelProvider: provider(world) })
    return runner.run(clerk({ outputType: z.object({}).loose() }), "Well?").catch((error) => {
      if (!(error instanceof agents.ModelBehaviorError)) throw error
    })
  }
}

/** docs/integrations/openai-agents.md says of each what to do about it. */
const outOfReach = [
  // Models that somebody makes by hand: `governModel` governs them.
  ...["OpenAIChatCompletionsModel", "OpenAIResponsesModel", "OpenAIResponsesWSModel", "withResponsesWebSocketSession"],
  // They speak to OpenAI with a client of their own: govern that client.
  ...["OpenAIResponsesCompactionSession", "OpenAIConversationsSession", "startOpenAIConversationsSession"],
  ...[
    "setDefaultOpenAIClient",
    "getDefaultOpenAIClient",
    "setDefaultOpenAIKey",
    "setOpenAIAPI",
    "setOpenAIResponsesTransport"
  ],
  "realtime",
  // Tools that OpenAI runs.
  ...[
    "codeInterpreterTool",
    "fileSearchTool",
    "hostedMcpTool",
    "imageGenerationTool",
    "webSearchTool",
    "toolSearchTool"
  ],
  "programmaticToolCallingTool",
  // Tools that run here but are no function tools.
  ...["applyPatchTool", "computerTool", "shellTool"],
  // Tools of MCP servers are made while the run goes on.
  ...["MCPServerSSE", "MCPServerStdio", "MCPServerStreamableHttp", "MCPServers", "connectMcpServers"],
  ...["getAllMcpTools", "mcpToFunctionTool", "invalidateServerToolsCache"],
  // Traces go to OpenAI with prompts in them, unless they are disabled.
  ...["OpenAITracingExporter", "BatchTraceProcessor", "setDefaultOpenAITracingExporter", "setTracingExportApiKey"],
  "startTraceExportLoop"
]

/** They build, read or change values, or are told what happened, and send nothing. */
const local = new RegExp(
  `^(${[
    "AgentHooks|ConsoleSpanExporter|Handoff|MemorySession|MultiTracing|Noop|OPENAI_|RequestUsage|Run[A-Z]|RuntimeEvent|Span|Streamed",
    "Tool(Guardrail)|Trace|Usage|addTrace|apply(Diff|Session)|assistant|attachClient|create|default|define|dispatch|extract|generate",
    "get(Client|Current|Default(Model)|Global|Handoff|Logger|OrCreate|ToolSearch|Transfer)|gpt5|handoff|invokeFunctionTool|is[A-Z]",
    "protocol|resetCurrent|resolve|retryPolicies|runTool|set(Current|Sensitive|Trace|Tracing)|system|tool$|toolNamespace|user|with.*(Span|Trace|Context)"
  ].join("|")})|(Error|Triggered)$`
)

describe("Every export of the agents SDK", () => {
  it("is governed, out of reach and documented, or sends nothing: a new one has to be put in a list (BEY-13)", () => {
    const known = new Set([...Object.keys(governed), ...outOfReach])
    const unknown = Object.keys(agents).filter((name) => !known.has(name) && !local.test(name))
    const gone = [...known].filter((name) => !(name in agents))
    assert.deepStrictEqual({ unknown, gone }, { unknown: [], gone: [] })
  })

  for (const [name, run] of Object.entries(governed)) {
    it(`${name}: one request is one governed call, and a halted agent makes none (WRP-02, BEY-05)`, async () => {
      await using world = await openWorld()
      await run(world)
      assert.isAbove(await world.spent(), 0)
      assert.lengthOf(world.provider.requests, 1)
      await world.halt()
      assert.strictEqual(tagOf(await rejection(run(world))), "AgentHaltedError")
      assert.lengthOf(world.provider.requests, 1)
    })
  }

  it("a model has these methods and no others that reach the network (THR-05)", async () => {
    await using world = await openWorld()
    for (const useResponses of [true, false]) {
      const model = await provider(world, { useResponses }).getModel("gpt-4o")
      const methods = new Set<string>()
      for (let at = model; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
        for (const key of Object.getOwnPropertyNames(at)) methods.add(key)
      }
      assert.deepStrictEqual([...methods].filter((key) => key !== "supportsPromptModelSelection").sort(), [
        "constructor",
        "getResponse",
        "getRetryAdvice",
        "getStreamedResponse"
      ])
    }
  })

  it("an agent as a tool and an agent that takes over are governed by the runner's provider (BEY-09)", async () => {
    await using world = await openWorld()
    const helper = clerk({ name: "Helper" })
    const asTool = governTool(helper.asTool({ toolName: "ask_helper", toolDescription: "x" }), who(world))
    const main = clerk({ tools: [asTool], handoffs: [clerk({ name: "Boss" })] })
    world.provider.next(
      { toolCalls: [{ name: "ask_helper", arguments: { input: "Well?" } }] },
      { text: "The helper says so." },
      { toolCalls: [{ name: "transfer_to_Boss", arguments: {} }] },
      { text: "Done." }
    )
    const runner = new agents.Runner({ modelProvider: provider(world, { useResponses: false }) })
    assert.strictEqual((await runner.run(main, "Well?")).finalOutput, "Done.")
    const kinds = await world.kinds()
    assert.strictEqual(kinds.filter((kind) => kind === "llm.call").length, 4)
    assert.strictEqual(kinds.filter((kind) => kind === "tool.call").length, 1)
  })
})
