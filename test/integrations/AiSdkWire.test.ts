import { assert, describe, it } from "@effect/vitest"
import { type CallParams, pricedAs } from "../../src/integrations/AiSdkModel.ts"
import { bodyOf, estimateOf, mostTokens, usageOf, withTools } from "../../src/integrations/AiSdkWire.ts"

const params = (more: Partial<CallParams> = {}): CallParams => ({ prompt: [], maxOutputTokens: 100, ...more })

describe("A request of the AI SDK", () => {
  it("is written down without headers, signals and the bytes of pictures (SEC-04)", () => {
    const body = bodyOf("gpt-4o", {
      ...params({ headers: { authorization: "Bearer canary" }, abortSignal: new AbortController().signal }),
      prompt: [
        {
          role: "user",
          content: [{ type: "file", data: { type: "data", data: new Uint8Array(9) }, mediaType: "image/png" }]
        }
      ]
    })
    assert.deepStrictEqual(body, {
      model: "gpt-4o",
      prompt: [
        {
          role: "user",
          content: [{ type: "file", data: { type: "data", data: { bytes: 9 } }, mediaType: "image/png" }]
        }
      ],
      maxOutputTokens: 100
    })
  })

  it("counts a picture by its bytes in the estimate of what goes in (CST-05)", () => {
    assert.isAtLeast(estimateOf({ data: new Uint8Array(30_000) }) - estimateOf({ data: null }), 20_000)
  })

  it("may answer with its maximum, the provider's own one, and a budget for thinking beside it (CST-05)", () => {
    const most = (more: Partial<CallParams>, provider = "anthropic.messages") => mostTokens(provider, params(more))
    const thinking = (options: object) => ({ providerOptions: { anthropic: { thinking: { ...options } } } })
    assert.strictEqual(most({}), 100)
    assert.strictEqual(most({ providerOptions: { openai: { maxCompletionTokens: 300 } } }, "openai.chat"), 300)
    assert.strictEqual(most(thinking({ type: "enabled", budgetTokens: 2000 })), 2100)
    assert.strictEqual(most(thinking({ type: "enabled" })), 1124)
    assert.strictEqual(most(thinking({ type: "disabled" })), 100)
    assert.strictEqual(mostTokens("openai.chat", { prompt: [] }), undefined)
    // The SDK makes a budget of the level that only it knows.
    assert.strictEqual(most({ reasoning: "high" }), undefined)
    assert.strictEqual(most({ reasoning: "high" }, "openai.responses"), 100)
    assert.strictEqual(most({ reasoning: "none" }), 100)
  })

  it("goes out without hidden tools, and keeps a choice that names a visible one (SCP-06)", () => {
    const tool = (name: string) => ({ type: "function" as const, name, inputSchema: {} })
    const asked = params({ tools: [tool("look"), tool("wipe")], toolChoice: { type: "tool", toolName: "look" } })
    const seen = withTools(asked, (name) => name !== "wipe")
    assert.deepStrictEqual([seen.tools?.map(({ name }) => name), seen.toolChoice], [["look"], asked.toolChoice])
    assert.strictEqual(
      withTools(asked, () => true),
      asked
    )
    assert.deepStrictEqual(
      withTools(asked, () => false),
      { prompt: [], maxOutputTokens: 100 }
    )
  })
})

describe("Usage in the AI SDK", () => {
  it("is read by class, and flat as before version 3 (CST-11)", () => {
    const classes = {
      inputTokens: { total: 160, noCache: 10, cacheRead: 50, cacheWrite: 100 },
      outputTokens: { total: 40, text: 35, reasoning: 5 },
      raw: { cache_creation: { ephemeral_1h_input_tokens: 30 } }
    }
    assert.deepStrictEqual(usageOf(classes, "m"), {
      model: "m",
      inputTokens: 160,
      outputTokens: 40,
      cachedInputTokens: 50,
      cacheWriteTokens: 100,
      cacheWrite1hTokens: 30,
      reasoningTokens: 5
    })
    const flat = { inputTokens: 160, outputTokens: 40, cachedInputTokens: 50, reasoningTokens: 5 }
    assert.deepInclude(usageOf(flat, undefined), { ...flat, cacheWriteTokens: 0 })
  })

  it("that says nothing of the input is none: then all that was held is charged (WRP-06)", () => {
    for (const none of [undefined, {}, { inputTokens: {}, outputTokens: { total: 4 } }, { inputTokens: -1 }]) {
      assert.isUndefined(usageOf(none, "m"))
    }
  })
})

it("providers of the AI SDK have names in the price book (BEY-08)", () => {
  const of = (provider: string, modelId = "m") => {
    const { model, provider: name } = pricedAs({ provider, modelId })
    return `${name} ${model}`
  }
  assert.deepStrictEqual(
    ["openai.responses", "anthropic.messages", "google.generative-ai", "vertex.anthropic.messages", "azure.chat"].map(
      (provider) => of(provider)
    ),
    ["openai m", "anthropic m", "google m", "google m", "azure m"]
  )
  assert.deepStrictEqual(
    [of("amazon-bedrock"), of("groq.chat"), of("hall.chat"), of("gateway", "openai/gpt-4o"), of("gateway", "odd")],
    ["aws m", "groq m", "hall m", "openai gpt-4o", "gateway odd"]
  )
})
