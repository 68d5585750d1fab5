import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { assert, describe, it } from "@effect/vitest"
import { type LanguageModel, streamObject, streamText, ToolLoopAgent } from "ai"
import { governWith } from "../../src/integrations/AiSdk.ts"
import type { FakeReply } from "../../src/testing/FakeProvider.ts"
import { agentId, type FrameworkWorld, openWorld, rejection, sessionId, tagOf, until } from "./FrameworkWorld.ts"

const text = "word ".repeat(60)
const usage = { input: 10, output: 75 }
const slow: FakeReply = { text, usage, chunkSize: 5, delayMs: 10 }

const who = (world: FrameworkWorld) => ({ governance: world.governance, agentId, sessionId })
const providers: ReadonlyArray<
  readonly [string, (world: FrameworkWorld) => Exclude<LanguageModel, string>, number, number]
> = [
  [
    "chat",
    (w) => governWith(createOpenAI({ apiKey: "none", baseURL: w.provider.openAiUrl }), who(w)).chat("gpt-4o"),
    2_500,
    10_000
  ],
  [
    "responses",
    (w) => governWith(createOpenAI({ apiKey: "none", baseURL: w.provider.openAiUrl })("gpt-4o"), who(w)),
    2_500,
    10_000
  ],
  [
    "Anthropic",
    (w) =>
      governWith(createAnthropic({ apiKey: "none", baseURL: `${w.provider.url}/v1` }), who(w))("claude-sonnet-4-6"),
    3_000,
    15_000
  ]
]

const open = (model: LanguageModel, more: object = {}) => {
  const errors: Array<unknown> = []
  const result = streamText({
    model,
    prompt: "Well?",
    maxOutputTokens: 200,
    maxRetries: 0,
    onError: ({ error }) => void errors.push(error),
    ...more
  })
  return { result, errors }
}

const some = async (stream: AsyncIterable<unknown>, parts: number) => {
  let seen = 0
  for await (const _ of stream) if (++seen >= parts) break
}

const all = async (stream: AsyncIterable<unknown>) => {
  for await (const _ of stream);
}

for (const [name, modelOf, input, output] of providers) {
  describe(`A stream of the AI SDK: ${name}`, () => {
    const exact = usage.input * input + usage.output * output
    const most = (world: FrameworkWorld) => Number(world.provider.requests.length) * 200 * output

    const settledOnce = async (world: FrameworkWorld) => {
      const spent = await world.spent()
      await until(async () => (await world.kinds()).length === 2)
      assert.strictEqual((await world.kinds())[0], "llm.call")
      assert.lengthOf(world.provider.requests, 1)
      return spent
    }

    it("that comes to its end costs what the provider reports (WRP-04)", async () => {
      await using world = await openWorld({ script: { text, usage } })
      assert.strictEqual(await open(modelOf(world)).result.text, text)
      assert.strictEqual(await settledOnce(world), exact)
    })

    for (const kind of ["textStream", "fullStream"] as const) {
      it(`whose ${kind} is left by break is over after a lease: its socket is cut and what was seen is charged (BEY-01, WRP-04)`, async () => {
        await using world = await openWorld({ script: slow, leaseDuration: "300 millis" })
        await some(open(modelOf(world)).result[kind], 3)
        await world.provider.closed(0)
        const spent = await settledOnce(world)
        assert.isAbove(spent, 0)
        assert.isBelow(spent, most(world))
        assert.lengthOf(world.logged("governance.stream.abandoned_without_reconcile"), 1)
      })
    }

    it("whose consumer throws is over after a lease (BEY-01)", async () => {
      await using world = await openWorld({ script: slow, leaseDuration: "300 millis" })
      const { result } = open(modelOf(world))
      const mine = (async () => {
        for await (const _ of result.textStream) throw new Error("mine")
      })()
      assert.include(String(await rejection(mine)), "mine")
      await world.provider.closed(0)
      assert.isBelow(await settledOnce(world), most(world))
    })

    it("that its caller aborts is settled at once, without a lease (WRP-04)", async () => {
      await using world = await openWorld({ script: slow })
      const controller = new AbortController()
      const { result } = open(modelOf(world), { abortSignal: controller.signal })
      let parts = 0
      for await (const _ of result.textStream) if (++parts === 3) controller.abort()
      await world.provider.closed(0)
      const spent = await settledOnce(world)
      assert.isAbove(spent, 0)
      assert.isBelow(spent, exact)
    })

    it("of an agent that is halted is cut within half a second and says so (BEY-05)", async () => {
      await using world = await openWorld({ script: { ...slow, delayMs: 20 } })
      const { errors, result } = open(modelOf(world))
      let parts = 0
      let from = 0
      const reading = (async () => {
        for await (const _ of result.textStream) {
          if (++parts !== 3) continue
          from = performance.now()
          await world.halt()
        }
      })()
      assert.strictEqual(tagOf(await rejection(reading)), "AgentHaltedError")
      await world.provider.closed(0)
      assert.isBelow(performance.now() - from, 500)
      // What breaks a running stream is thrown by its loop and by nothing else.
      assert.lengthOf(errors, 0)
      assert.isBelow(await settledOnce(world), most(world))
    })

    it("whose socket dies costs what was seen (CST-11)", async () => {
      await using world = await openWorld({ script: { ...slow, delayMs: 2, dieAfterChunks: 12 } })
      const { result } = open(modelOf(world))
      await rejection(all(result.textStream))
      const spent = await settledOnce(world)
      assert.isAbove(spent, 0)
      assert.isBelow(spent, most(world))
    })

    it("without usage costs all that was declared (WRP-06)", async () => {
      await using world = await openWorld({ script: { text, usage: null } })
      const reply = Promise.resolve(open(modelOf(world)).result.text)
      // Anthropic's package takes a stream without usage for a broken one.
      await (name === "Anthropic" ? rejection(reply) : reply)
      assert.isAtLeast(await settledOnce(world), most(world))
    })

    it("that goes on beyond what was declared is cut and costs all that was held (BEY-07)", async () => {
      await using world = await openWorld({
        script: { text: "word ".repeat(4000), chunkSize: 5, delayMs: 1, ignoreMaxTokens: true }
      })
      const { result } = open(modelOf(world), { maxOutputTokens: 50 })
      assert.strictEqual(tagOf(await rejection(all(result.textStream))), "DeclaredMaximumExceeded")
      assert.isAtLeast(await settledOnce(world), 50 * output)
      await world.provider.closed(0)
    })

    it("that nobody reads is over after a lease (BEY-01)", async () => {
      await using world = await openWorld({ script: slow, leaseDuration: "300 millis" })
      const model = modelOf(world)
      // The SDK's own functions begin to read by themselves, so this asks the model as they do.
      if (!("doStream" in model) || model.specificationVersion !== "v4") throw new Error("no such model")
      await model.doStream({
        prompt: [{ role: "user", content: [{ type: "text", text: "Well?" }] }],
        maxOutputTokens: 200
      })
      await world.provider.closed(0)
      // Nothing of it was seen, so all that was held is charged.
      assert.isAtLeast(await settledOnce(world), 200 * output)
    })

    it("that the provider refuses costs nothing (CST-11)", async () => {
      await using world = await openWorld({ script: { status: 400 } })
      const { errors, result } = open(modelOf(world))
      await result.consumeStream()
      assert.lengthOf(errors, 1)
      assert.strictEqual(await settledOnce(world), 0)
    })

    it("of objects, and of an agent, is governed the same (WRP-02)", async () => {
      await using world = await openWorld({ script: { text: '{"a":1}', usage } })
      const made = streamObject({ model: modelOf(world), output: "no-schema", prompt: "x", maxOutputTokens: 200 })
      for await (const _ of made.partialObjectStream);
      const agent = new ToolLoopAgent({ model: modelOf(world), maxOutputTokens: 200 })
      const stream = await agent.stream({ prompt: "x" })
      for await (const _ of stream.textStream);
      assert.strictEqual(await world.spent(), 2 * exact)
    })
  })
}
