import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { assert, describe, it } from "@effect/vitest"
import * as ai from "ai"
import { z } from "zod"
import { governWith } from "../../src/integrations/AiSdk.ts"
import { isEmbeddingModel, isLanguageModel } from "../../src/integrations/AiSdkModel.ts"
import { record } from "../../src/integrations/Reading.ts"
import type { FakeReply } from "../../src/testing/FakeProvider.ts"
import { agentId, type FrameworkWorld, openWorld, rejection, sessionId, tagOf, until } from "./FrameworkWorld.ts"

const who = (world: FrameworkWorld) => ({ governance: world.governance, agentId, sessionId })

/** The ids are plain strings: they lead to the default provider, which is the governed one here. */
const [model, embedding] = ["gpt-4o", "text-embedding-3-small"]
const prompt = "Well?"
const maxOutputTokens = 50
const all = async (stream: AsyncIterable<unknown>) => {
  for await (const _ of stream);
}
const json: FakeReply = { text: '{"a":1}' }
const schema = z.object({ a: z.number() })

/** Each sends exactly one request, as one governed call. */
const governed: Record<string, () => Promise<unknown>> = {
  generateText: () => ai.generateText({ model, prompt, maxOutputTokens }),
  streamText: () => all(ai.streamText({ model, prompt, maxOutputTokens }).textStream),
  experimental_streamTextLowMemory: async () =>
    all((await ai.experimental_streamTextLowMemory({ model, prompt, maxOutputTokens })).stream),
  experimental_streamLanguageModelCall: async () =>
    all(
      (
        await ai.experimental_streamLanguageModelCall({
          model,
          messages: [{ role: "user", content: prompt }],
          maxOutputTokens
        })
      ).stream
    ),
  generateObject: () => ai.generateObject({ model, prompt, schema, maxOutputTokens }),
  streamObject: () => all(ai.streamObject({ model, prompt, schema, maxOutputTokens }).partialObjectStream),
  ToolLoopAgent: () => new ai.ToolLoopAgent({ model, maxOutputTokens }).generate({ prompt }),
  Experimental_Agent: async () =>
    all((await new ai.Experimental_Agent({ model, maxOutputTokens }).stream({ prompt })).textStream),
  createAgentUIStream: async () =>
    all(
      await ai.createAgentUIStream({
        agent: new ai.ToolLoopAgent({ model, maxOutputTokens }),
        uiMessages: [{ id: "1", role: "user", parts: [{ type: "text", text: prompt }] }]
      })
    ),
  embed: () => ai.embed({ model: embedding, value: "x" }),
  embedMany: () => ai.embedMany({ model: embedding, values: ["x", "y"] })
}

const file = new Uint8Array([1, 2, 3])
/** The functions of the SDK, by what it calls its arguments; those that are refused never look at them. */
const call =
  (name: string, ...given: ReadonlyArray<unknown>) =>
  async () => {
    const run = record(ai)[name]
    if (typeof run !== "function") throw new Error(`no ${name}`)
    const result = await run(...given)
    const { stream, fullStream } = record(result)
    await all((stream ?? fullStream ?? []) as AsyncIterable<unknown>)
  }
const batch = { provider: "openai", id: "b1", type: "text", version: 2 }

/** Each is refused before anything is sent: by us, or by the SDK because the governed provider does not have it. */
const denied: Record<string, () => Promise<unknown>> = {
  generateImage: call("generateImage", { model: "gpt-image-1", prompt }),
  generateSpeech: call("generateSpeech", { model: "tts-1", text: "x" }),
  experimental_generateSpeech: call("experimental_generateSpeech", { model: "tts-1", text: "x" }),
  experimental_streamSpeech: call("experimental_streamSpeech", { model: "tts-1", text: "x" }),
  transcribe: call("transcribe", { model: "whisper-1", audio: file }),
  experimental_transcribe: call("experimental_transcribe", { model: "whisper-1", audio: file }),
  experimental_streamTranscribe: call("experimental_streamTranscribe", { model: "whisper-1", audio: file }),
  experimental_streamTranslate: call("experimental_streamTranslate", { model: "gpt-realtime", audio: file }),
  experimental_generateVideo: call("experimental_generateVideo", { model: "sora-2", prompt }),
  experimental_startVideo: call("experimental_startVideo", { model: "sora-2", prompt }),
  experimental_getVideoStatus: call("experimental_getVideoStatus", "sora-2", { operation: {} }),
  rerank: call("rerank", { model: "rerank-1", query: "x", documents: ["a", "b"] }),
  experimental_decide: call("experimental_decide", { model, prompt, question: { type: "boolean", text: "x" } }),
  experimental_evaluate: call("experimental_evaluate", { model, prompt, question: { type: "boolean", text: "x" } }),
  experimental_extract: async () => {
    // It takes no ids: the provider itself has to make the model.
    const make: unknown = Reflect.get(defaultProvider(), "extractionModel")
    await call("experimental_extract", { model: typeof make === "function" ? make("gpt-4o") : undefined })()
  },
  uploadFile: async () => ai.uploadFile({ api: defaultProvider().files!(), data: file }),
  uploadSkill: async () => ai.uploadSkill({ api: defaultProvider().skills!(), files: [] }),
  experimental_startBatch: call("experimental_startBatch", { requests: [{ type: "text", id: "1", model, prompt }] }),
  experimental_getBatchStatus: call("experimental_getBatchStatus", { batch }),
  experimental_getBatchResults: call("experimental_getBatchResults", { batch }),
  experimental_listBatches: call("experimental_listBatches", {}),
  experimental_cancelBatch: call("experimental_cancelBatch", { batch })
}

const defaultProvider = () => {
  const provider = globalThis.AI_SDK_DEFAULT_PROVIDER
  if (provider === undefined || !("specificationVersion" in provider) || provider.specificationVersion !== "v4") {
    throw new Error("no default provider")
  }
  return provider
}

/** They make providers or speak to servers of one's own; docs/integrations/ai-sdk.md says which of them to govern, and how. */
const outOfReach = [
  "gateway",
  "createGateway",
  "callCompletionApi",
  "AbstractChat",
  "DefaultChatTransport",
  "HttpChatTransport",
  "TextStreamChatTransport",
  "WebSocketChatTransport",
  "Experimental_AbstractRealtimeSession",
  "createDownload"
]

/** They run an agent, which has its model: governed as `createAgentUIStream` is. */
const overAgents = ["createAgentUIStreamResponse", "pipeAgentUIStreamToResponse", "DirectChatTransport"]

/** They build, check, read or change values, and send nothing. */
const local = new RegExp(
  `^(${[
    "add|as|assistant|cosine|convert|create(IdGenerator|ProviderRegistry|TextStreamResponse|UIMessageStream(Response)?)$",
    "custom|decode|default|detect|dynamic|extract(Json|Reasoning)|filter|fingerprint|generateId$|get|has|is|json|last",
    "modelMessage|parse|pipe(TextStream|UIMessageStream)|prune|read|register|safeValidate|simulate|smooth|stepCountIs|system",
    "toTextStream|toUIMessage|tool|uiMessage|user|validate|wrap|zod|consumeStream|Output|SerialJobExecutor|JsonToSse",
    "DefaultGeneratedFile|experimental_(create|decode|encode|filter|getRealtime|resample|toolCaller)|UI_MESSAGE|AI_SDK"
  ].join("|")})|Error$`
)

describe("Every export of the AI SDK", () => {
  it("is governed, denied, out of reach and documented, or sends nothing: a new one has to be put in a list (BEY-13)", () => {
    const known = new Set([...Object.keys(governed), ...Object.keys(denied), ...outOfReach, ...overAgents])
    const unknown = Object.keys(ai).filter((name) => !known.has(name) && !local.test(name))
    const gone = [...known].filter((name) => !(name in ai))
    assert.deepStrictEqual({ unknown, gone }, { unknown: [], gone: [] })
    // The words of functions that take a model.
    const suspicious = Object.keys(ai).filter(
      (name) => !known.has(name) && /^(generate|stream|embed|rerank|transcribe|upload)(?!Id$)/.test(name)
    )
    assert.deepStrictEqual(suspicious, [])
  })

  const withDefault = async (world: FrameworkWorld, run: () => Promise<unknown>) => {
    const before = globalThis.AI_SDK_DEFAULT_PROVIDER
    globalThis.AI_SDK_DEFAULT_PROVIDER = governWith(
      createOpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl }),
      who(world)
    )
    try {
      return await run()
    } finally {
      globalThis.AI_SDK_DEFAULT_PROVIDER = before
    }
  }

  for (const [name, run] of Object.entries(governed)) {
    it(`${name} of a plain string is one governed call (WRP-02)`, async () => {
      await using world = await openWorld({ script: json })
      await withDefault(world, run)
      assert.isAbove(await world.spent(), 0)
      assert.lengthOf(world.provider.requests, 1)
      assert.strictEqual((await world.kinds()).filter((kind) => kind === "llm.call").length, 1)
    })
  }

  for (const [name, run] of Object.entries(denied)) {
    it(`${name} is refused before anything is sent (THR-05)`, async () => {
      await using world = await openWorld()
      const error = await rejection(withDefault(world, run))
      const said = tagOf(error)
      assert.match(said, /^(UngovernedCall|.*(does not support|No such|NoSuch|Unsupported|default provider))/)
      assert.lengthOf(world.provider.requests, 0)
    })
  }
})

const outcome = (provider: object, name: string): string => {
  const member: unknown = Reflect.get(provider, name)
  if (typeof member !== "function") return typeof member === "object" ? "tools" : "value"
  try {
    const made: unknown = member("some-model")
    if (isLanguageModel(made) || isEmbeddingModel(made)) return "governed"
    return "passed"
  } catch (error) {
    return tagOf(error)
  }
}

describe("Every member of a governed provider", () => {
  const tables: Record<string, readonly [(url: string) => object, Record<string, string>]> = {
    openai: [
      (baseURL) => createOpenAI({ apiKey: "none", baseURL }),
      {
        languageModel: "governed",
        chat: "governed",
        responses: "governed",
        completion: "governed",
        embedding: "governed",
        embeddingModel: "governed",
        textEmbedding: "governed",
        textEmbeddingModel: "governed",
        tools: "tools",
        specificationVersion: "value"
      }
    ],
    anthropic: [
      (baseURL) => createAnthropic({ apiKey: "none", baseURL }),
      {
        languageModel: "governed",
        chat: "governed",
        messages: "governed",
        // The SDK itself says that Anthropic has none.
        embeddingModel: "AI_NoSuchModelError: No such embeddingModel: some-model",
        textEmbeddingModel: "AI_NoSuchModelError: No such embeddingModel: some-model",
        tools: "tools",
        specificationVersion: "value"
      }
    ],
    "openai-compatible": [
      (baseURL) => createOpenAICompatible({ name: "hall", baseURL }),
      {
        languageModel: "governed",
        chatModel: "governed",
        completionModel: "governed",
        embeddingModel: "governed",
        textEmbeddingModel: "governed",
        specificationVersion: "value"
      }
    ]
  }

  for (const [name, [make, table]] of Object.entries(tables)) {
    it(`${name}: makes governed models, or is refused by default (THR-05)`, async () => {
      await using world = await openWorld()
      const raw = make(world.provider.openAiUrl)
      const provider = governWith(raw, who(world))
      const found = Object.fromEntries(Object.keys(raw).map((member) => [member, outcome(provider, member)] as const))
      const refused = Object.keys(found).filter((member) => found[member] === "UngovernedCall")
      assert.deepStrictEqual(Object.fromEntries(Object.entries(found).filter(([key]) => !refused.includes(key))), {
        ...table
      })
      assert.lengthOf(world.provider.requests, 0)
    })
  }

  it("may be used when the program allows it by name, and the log says either (THR-05)", async () => {
    await using world = await openWorld()
    const raw = createOpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl })
    const provider = governWith(raw, { ...who(world), allow: ["imageModel gpt-image-1", "files"] })
    assert.strictEqual(provider.imageModel("gpt-image-1").modelId, "gpt-image-1")
    assert.throws(() => provider.imageModel("dall-e-3"), /is not governed/)
    assert.doesNotThrow(() => provider.files())
    assert.throws(() => provider.skills(), /is not governed/)
    // Two that were allowed and two that were not.
    await until(async () => (await world.kinds()).length === 4)
    assert.deepStrictEqual([...new Set(await world.kinds())], ["call.ungoverned"])
  })

  it("registries and custom providers of governed providers are governed, and can be governed themselves (WRP-01)", async () => {
    await using world = await openWorld()
    const raw = createOpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl })
    const inner = ai.createProviderRegistry({ openai: governWith(raw, who(world)) })
    const outer = governWith(ai.customProvider({ languageModels: { fast: raw("gpt-4o") } }), who(world))
    await ai.generateText({ model: inner.languageModel("openai:gpt-4o"), prompt, maxOutputTokens })
    await ai.generateText({ model: outer.languageModel("fast"), prompt, maxOutputTokens })
    assert.strictEqual((await world.kinds()).filter((kind) => kind === "llm.call").length, 2)
    await world.halt()
    const error = await rejection(ai.generateText({ model: inner.languageModel("openai:gpt-4o"), prompt }))
    assert.strictEqual(tagOf(error), "AgentHaltedError")
  })

  it("a model has nothing beside what its interface says: its configuration with fetch and keys stays inside (THR-05)", async () => {
    await using world = await openWorld()
    const provider = governWith(createOpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl }), who(world))
    assert.deepStrictEqual(Object.keys(provider.chat("gpt-4o")).sort(), [
      "doGenerate",
      "doStream",
      "modelId",
      "provider",
      "specificationVersion",
      "supportedUrls"
    ])
  })
})
