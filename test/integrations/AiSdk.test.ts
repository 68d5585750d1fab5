import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { assert, describe, it } from "@effect/vitest"
import {
  createProviderRegistry,
  embed,
  embedMany,
  generateText,
  jsonSchema,
  streamText,
  type ToolSet,
  wrapLanguageModel
} from "ai"
import { Effect, Exit } from "effect"
import { govern, governance, governWith } from "../../src/integrations/AiSdk.ts"
import { governedFetch } from "../../src/integrations/GovernedFetch.ts"
import { openAi } from "../../src/integrations/OpenAiProvider.ts"
import { items, record } from "../../src/integrations/Reading.ts"
import { Routing } from "../../src/services/Routing.ts"
import { Wrappers } from "../../src/services/Wrappers.ts"
import { agentId, type FrameworkWorld, openWorld, rejection, sessionId, tagOf } from "./FrameworkWorld.ts"

const who = (world: FrameworkWorld) => ({ governance: world.governance, agentId, sessionId })
const plain = (world: FrameworkWorld, over: object = {}) =>
  createOpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl, ...over })
const openai = (world: FrameworkWorld) => governWith(plain(world), who(world))
const anthropic = (world: FrameworkWorld) =>
  governWith(createAnthropic({ apiKey: "none", baseURL: `${world.provider.url}/v1` }), who(world))
const usage = { input: 100, output: 40, cacheRead: 30, cacheWrite: 20, reasoning: 5 }
const ask = { prompt: "Well?", maxOutputTokens: 200 }

describe("A governed model of the AI SDK", () => {
  it("charges what the provider reports: chat, responses and Anthropic's messages (WRP-02, CST-11)", async () => {
    await using world = await openWorld({ script: { text: "Fine.", usage } })
    const models = [openai(world).chat("gpt-4o"), openai(world)("gpt-4o"), anthropic(world)("claude-sonnet-4-6")]
    const costs: Array<number> = []
    for (const model of models) {
      const before = await world.spent()
      assert.strictEqual((await generateText({ model, ...ask })).text, "Fine.")
      costs.push((await world.spent()) - before)
    }
    const gpt = 120 * 2_500 + 30 * 1_250 + 40 * 10_000
    assert.deepStrictEqual(costs, [gpt, gpt, 100 * 3_000 + 30 * 300 + 20 * 3_750 + 40 * 15_000])
    const calls = (await world.kinds()).filter((kind) => kind === "llm.call")
    assert.strictEqual(calls.length, 3)
  })

  it("counts embeddings by what goes in, one call for each request (WRP-02)", async () => {
    await using world = await openWorld()
    const model = openai(world).embeddingModel("text-embedding-3-small")
    await embed({ model, value: "x" })
    await embedMany({ model, values: ["x", "y"] })
    assert.strictEqual(await world.spent(), 2 * 10 * 20)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result", "llm.call", "llm.result"])
  })

  it("keeps the limits of an embedding model, so that many values are as many calls as they were", async () => {
    await using world = await openWorld()
    const values = Array.from({ length: 2050 }, (_, i) => `v${i}`)
    const { model: _, ...rest } = { model: "", values }
    const raw = plain(world).embeddingModel("text-embedding-3-small")
    const own = openai(world).embeddingModel("text-embedding-3-small")
    assert.strictEqual(own.maxEmbeddingsPerCall, raw.maxEmbeddingsPerCall)
    assert.deepStrictEqual(
      Object.getOwnPropertySymbols(own).map(String).sort(),
      [...Object.getOwnPropertySymbols(raw), ...Object.getOwnPropertySymbols(Object.getPrototypeOf(raw))]
        .map(String)
        .sort()
    )
    world.provider.always(({ body }) => ({
      body: {
        object: "list",
        model: body.model,
        data: (body.input as Array<string>).map((_, index) => ({ object: "embedding", index, embedding: [0, 1] })),
        usage: { prompt_tokens: 5, total_tokens: 5 }
      }
    }))
    assert.lengthOf((await embedMany({ model: own, ...rest })).embeddings, 2050)
    assert.lengthOf(world.provider.requests, 2)
    assert.strictEqual(await world.spent(), 2 * 5 * 20)
  })

  it("a halted agent's call never reaches the provider, and its error comes raw (WRP-02, BEY-05)", async () => {
    await using world = await openWorld()
    await world.halt()
    const error = await rejection(generateText({ model: openai(world)("gpt-4o"), ...ask }))
    assert.strictEqual((error as { readonly _tag?: string })._tag, "AgentHaltedError")
    assert.lengthOf(world.provider.requests, 0)
  })

  it("a call beyond the budget comes back raw and is not tried again (WRP-02, CST-01)", async () => {
    await using world = await openWorld({ budget: { perSessionUsd: "0.000001" } })
    const started = performance.now()
    const error = await rejection(generateText({ model: openai(world)("gpt-4o"), ...ask, maxRetries: 5 }))
    assert.strictEqual((error as { readonly _tag?: string })._tag, "BudgetExceeded")
    assert.isBelow(performance.now() - started, 1000)
    assert.deepStrictEqual([world.provider.requests.length, (await world.money()).held], [0, 0])
  })

  it("a refusal comes through streamText as its error, and its text as NoOutputGeneratedError (WRP-02)", async () => {
    await using world = await openWorld()
    await world.halt()
    const errors: Array<unknown> = []
    const result = streamText({
      model: openai(world)("gpt-4o"),
      ...ask,
      onError: ({ error }) => void errors.push(error)
    })
    let parts = 0
    for await (const _ of result.textStream) parts++
    assert.deepStrictEqual([parts, errors.map(tagOf)], [0, ["AgentHaltedError"]])
    assert.include(String(await rejection(result.text)), "NoOutputGeneratedError")
    assert.lengthOf(world.provider.requests, 0)
  })

  it("an attempt that the provider refuses costs nothing, each attempt is a call of its own (CST-11)", async () => {
    await using world = await openWorld({ script: { text: "Fine.", usage: { input: 10, output: 4 } } })
    world.provider.next({ status: 503, retryAfter: 0 })
    await generateText({ model: openai(world).chat("gpt-4o"), ...ask })
    assert.strictEqual(await world.spent(), 10 * 2_500 + 4 * 10_000)
    assert.lengthOf(world.provider.requests, 2)
    assert.strictEqual((await world.kinds()).filter((kind) => kind === "llm.call").length, 2)
  })

  it("a provider that cannot be reached costs nothing (CST-11)", async () => {
    await using world = await openWorld()
    const lost = openai(world)
    await world.provider.close()
    await rejection(generateText({ model: lost.chat("gpt-4o"), ...ask, maxRetries: 0 }))
    assert.deepStrictEqual([await world.spent(), (await world.kinds()).length], [0, 2])
  })

  it("a halt while the provider works ends the call with the halt and cuts its socket in half a second (BEY-05)", async () => {
    await using world = await openWorld({ script: { hang: true } })
    const failed = rejection(generateText({ model: openai(world)("gpt-4o"), ...ask }))
    await world.provider.arrived(1)
    const from = performance.now()
    await world.halt()
    assert.strictEqual(tagOf(await failed), "AgentHaltedError")
    await world.provider.closed(0)
    assert.isBelow(performance.now() - from, 500)
    await world.spent()
  })

  it("20 calls at once on a budget for 4 are 4 requests (BEY-01)", async () => {
    // One call holds 400 tokens of output and less than a dollar-cent's thousandth of input.
    await using world = await openWorld({
      budget: { perSessionUsd: "0.0175" },
      script: { usage: { input: 10, output: 400 }, delayFirstMs: 100 }
    })
    const model = openai(world).chat("gpt-4o")
    const all = await Promise.allSettled(
      Array.from({ length: 20 }, () => generateText({ model, prompt: "Well?", maxOutputTokens: 400 }))
    )
    assert.strictEqual(all.filter(({ status }) => status === "fulfilled").length, 4)
    assert.lengthOf(world.provider.requests, 4)
    const refused = all.flatMap((one) => (one.status === "rejected" ? [tagOf(one.reason)] : []))
    assert.deepStrictEqual(new Set(refused), new Set(["BudgetExceeded"]))
  })

  it("hides tools from the model, and a choice that names one (SCP-06)", async () => {
    await using world = await openWorld({ scope: { hiddenTools: ["wipe"] } })
    const one: ToolSet[string] = { description: "x", inputSchema: jsonSchema({ type: "object", properties: {} }) }
    const model = openai(world).chat("gpt-4o")
    const tools = { wipe: one, look: one }
    // The SDK insists on the tool that the model never saw.
    await rejection(generateText({ model, ...ask, tools, toolChoice: { type: "tool", toolName: "wipe" } }))
    await generateText({ model, ...ask, tools: { wipe: one } })
    const [some, none] = world.provider.requests.map(({ body }) => body)
    assert.deepStrictEqual(
      items(some?.tools).map(({ function: fn }) => record(fn).name),
      ["look"]
    )
    assert.isUndefined(some?.tool_choice)
    assert.deepStrictEqual([none?.tools, none?.tool_choice], [undefined, undefined])
  })

  it("a governed fetch below counts nothing twice, in one piece and in a stream (WRP-02)", async () => {
    const script = { text: "word ".repeat(60), chunkSize: 5, usage: { input: 10, output: 75 } }
    await using world = await openWorld({ script })
    const fetch = governedFetch({ ...who(world), provider: openAi })
    const model = governWith(plain(world, { fetch }).chat("gpt-4o"), who(world))
    const exact = 10 * 2_500 + 75 * 10_000
    await generateText({ model, ...ask })
    // With one token to spare: an answer that was counted twice would be cut.
    await streamText({ model, prompt: "Well?", maxOutputTokens: 76 }).text
    assert.strictEqual(await world.spent(), 2 * exact)
    assert.strictEqual((await world.kinds()).length, 4)
  })

  it("a governed fetch alone gives its refusal raw, once (integrations 13.2)", async () => {
    await using world = await openWorld()
    await world.halt()
    const model = plain(world, { fetch: governedFetch({ ...who(world), provider: openAi }) }).chat("gpt-4o")
    assert.strictEqual(tagOf(await rejection(generateText({ model, ...ask }))), "AgentHaltedError")
    assert.lengthOf(world.provider.requests, 0)
  })

  it("as a middleware it governs what wrapLanguageModel wraps (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage: { input: 10, output: 4 } } })
    const model = wrapLanguageModel({ model: plain(world).chat("gpt-4o"), middleware: governance(who(world)) })
    await generateText({ model, ...ask })
    assert.strictEqual(await world.spent(), 10 * 2_500 + 4 * 10_000)
    await world.halt()
    assert.strictEqual(tagOf(await rejection(generateText({ model, ...ask }))), "AgentHaltedError")
  })

  it("the second wrap of a model or provider is none, with a warning, and one call is one (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage: { input: 10, output: 4 } } })
    const provider = openai(world)
    const model = provider.chat("gpt-4o")
    assert.strictEqual(governWith(provider, who(world)), provider)
    assert.strictEqual(governWith(model, who(world)), model)
    assert.lengthOf(world.logged("wrapper.already_governed"), 2)
    // Around one that another wrapper has changed it joins.
    const around = governWith(wrapLanguageModel({ model, middleware: { specificationVersion: "v4" } }), who(world))
    await generateText({ model: around, ...ask })
    await streamText({ model: around, ...ask }).text
    assert.lengthOf(await world.kinds(), 4)
    assert.strictEqual(await world.spent(), 2 * (10 * 2_500 + 4 * 10_000))
    assert.isTrue((await world.run(Wrappers.use((w) => Effect.succeed(w.registered())))).has("ai-sdk"))
  })

  it("the Effect form governs with the services at hand, and fails for what is no model (ENT-18)", async () => {
    await using world = await openWorld({ script: { usage: { input: 10, output: 4 } } })
    const model = await world.run(govern(plain(world).chat("gpt-4o"), { agentId, sessionId }))
    await generateText({ model, ...ask })
    assert.strictEqual(await world.spent(), 10 * 2_500 + 4 * 10_000)
    const image = await world.run(Effect.exit(govern(plain(world).imageModel("gpt-image-1"), { agentId })))
    assert.isTrue(Exit.isFailure(image))
    assert.throws(
      () => governWith({ ...model, specificationVersion: "v9" }, who(world)),
      /found a model of interface v9/
    )
  })

  it("a server of one's own needs a price, and takes the name that it is given (CST-05)", async () => {
    await using world = await openWorld({ script: { usage: { input: 10, output: 4 } } })
    const local = createOpenAICompatible({ name: "hall", baseURL: world.provider.openAiUrl, includeUsage: true })
    const unknown = governWith(local, who(world)).languageModel("gpt-4o")
    assert.strictEqual(tagOf(await rejection(generateText({ model: unknown, ...ask }))), "UnknownModelError")
    const known = governWith(local, { ...who(world), provider: "openai" }).languageModel("gpt-4o")
    await generateText({ model: known, ...ask })
    await streamText({ model: known, ...ask }).text
    assert.strictEqual(await world.spent(), 2 * (10 * 2_500 + 4 * 10_000))
  })

  it("holds the budget for thinking that the provider adds to the maximum (CST-05)", async () => {
    await using world = await openWorld({ script: { delayFirstMs: 200 } })
    const running = generateText({
      model: anthropic(world)("claude-sonnet-4-5"),
      prompt: "Well?",
      maxOutputTokens: 100,
      providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 2_000 } } }
    })
    const request = await world.provider.arrived(1)
    assert.strictEqual(request.body.max_tokens, 2_100)
    assert.isAtLeast((await world.money()).held, 2_100 * 15_000)
    await running
  })

  it("that a provider makes goes to the model that routing chose, and is priced so; one that stands alone does not (ROU-02)", async () => {
    await using world = await openWorld({ enableRouting: true, script: { usage: { input: 10, output: 4 } } })
    await world.run(
      Routing.use((routing) => routing.register({ agentId, mode: "rules", rules: { "gpt-4o": "gpt-4o-mini" } }))
    )
    const alone = governWith(plain(world).chat("gpt-4o"), who(world))
    const registry = governWith(createProviderRegistry({ openai: plain(world) }), who(world))
    await generateText({ model: openai(world).chat("gpt-4o"), ...ask })
    assert.strictEqual(await world.spent(), 10 * 150 + 4 * 600)
    await streamText({ model: openai(world)("gpt-4o"), ...ask }).text
    await generateText({ model: alone, ...ask })
    await generateText({ model: registry.languageModel("openai:gpt-4o"), ...ask })
    assert.deepStrictEqual(
      world.provider.requests.map(({ body }) => body.model),
      ["gpt-4o-mini", "gpt-4o-mini", "gpt-4o", "gpt-4o"]
    )
    assert.strictEqual(await world.spent(), 2 * (10 * 150 + 4 * 600) + 2 * (10 * 2_500 + 4 * 10_000))
  })
})
