import { assert, describe, it } from "@effect/vitest"
import { tool } from "@langchain/core/tools"
import { Effect } from "effect"
import { z } from "zod"
import * as LangChain from "../../../src/integrations/LangChain.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { Presence } from "../../../src/services/Presence.ts"
import { Wrappers } from "../../../src/services/Wrappers.ts"
import { inMemory, kinds, settled, spent, world } from "./World.ts"

/** gpt-4o: 2.5 and 10 dollars for a million tokens. */
const price = (input: number, output: number) => BigInt(input * 2500 + output * 10000)

const secret = tool(() => "", { name: "secret", description: "hidden", schema: z.object({}) })
const search = tool(() => "found", { name: "search", description: "shown", schema: z.object({}) })

describe("a governed chat model of LangChain", () => {
  it.live("costs what the provider reports, is one call, and its wrapper is registered (WRP-01, WRP-02, WRP-09)", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world()
      server.always({ text: "hello", usage: { input: 12, output: 3 } })
      const model = LangChain.governWith(openai(), options)
      const message = yield* Effect.promise(() => model.invoke("hi"))
      assert.strictEqual(message.content, "hello")
      assert.deepStrictEqual(yield* spent, { held: 0n, usd: price(12, 3), tokens: 15n })
      assert.strictEqual(server.requests.length, 1)
      assert.isTrue((yield* Wrappers).registered().has("langchain"))
      assert.includeMembers([...(yield* kinds)], ["llm.call", "llm.result"])
    }).pipe(inMemory())
  )

  it.live("is governed through bindTools, withConfig and withStructuredOutput too, and hides tools (SCP-06)", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world()
      const model = LangChain.governWith(openai(), options)
      yield* Effect.promise(() => model.bindTools([secret, search]).invoke("hi"))
      yield* Effect.promise(() => model.bindTools([secret]).invoke("hi"))
      yield* Effect.promise(() => model.withConfig({ tags: ["x"] }).invoke("hi"))
      server.next({ text: '{"a":1}' })
      yield* Effect.promise(() => model.withStructuredOutput(z.object({ a: z.number() })).invoke("hi"))
      const tools = server.requests.map(({ body }) => (Array.isArray(body.tools) ? body.tools.length : 0))
      assert.deepStrictEqual(tools.slice(0, 3), [1, 0, 0])
      assert.notInclude(JSON.stringify(server.requests[0]?.body), "secret")
      const calls = (yield* kinds).filter((kind) => kind === "llm.call")
      assert.strictEqual(calls.length, 4)
    }).pipe(inMemory())
  )

  it.live("is settled once however its stream ends (BEY-07, CST-11)", () =>
    Effect.gen(function* () {
      const { anthropic, openai, options, server } = yield* world()
      for (const model of [LangChain.governWith(openai(), options), LangChain.governWith(anthropic(), options)]) {
        server.next({ text: "one two three four", usage: { input: 20, output: 8 } })
        const before = yield* spent
        const text = yield* Effect.promise(async () => {
          let said = ""
          for await (const chunk of await model.stream("hi")) said += chunk.text
          return said
        })
        assert.strictEqual(text, "one two three four")
        const after = yield* settled
        assert.strictEqual(after.tokens - before.tokens, 28n)

        server.next({ text: "x".repeat(400), chunks: 100, delayMs: 5, usage: { input: 20, output: 90 } })
        yield* Effect.promise(async () => {
          for await (const _ of await model.stream("hi")) break
        })
        const dropped = yield* settled
        assert.isTrue(dropped.held === 0n && dropped.tokens > after.tokens)
        assert.isBelow(Number(dropped.tokens - after.tokens), 200)
        assert.isAbove(yield* Effect.promise(() => server.closed(server.requests.length - 1)), 0)
      }
    }).pipe(inMemory())
  )

  it.live("is cut off by a halt while it streams, within half a second (BEY-05)", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world()
      server.next({ text: "x".repeat(90), chunkSize: 1, delayMs: 20 })
      const model = LangChain.governWith(openai(), options)
      const presence = yield* Presence
      let began = 0
      const reading = Effect.promise(async () => {
        try {
          for await (const _ of await model.stream("hi")) if (began === 0) began = performance.now()
          return undefined
        } catch (error) {
          return error
        }
      })
      const [error] = yield* Effect.all(
        [
          reading,
          Effect.gen(function* () {
            yield* Effect.promise(() => server.arrived(1))
            while (began === 0) yield* Effect.sleep("5 millis")
            began = performance.now()
            yield* presence.halt("clerk", { by: "op", reason: "test" })
          })
        ],
        { concurrency: "unbounded" }
      )
      assert.isTrue(isHaltError(error))
      yield* Effect.promise(() => server.closed(0))
      assert.isBelow(performance.now() - began, 500)
      assert.strictEqual((yield* settled).held, 0n)
      const again = yield* Effect.promise(() => model.invoke("hi").catch((e: unknown) => e))
      assert.isTrue(isHaltError(again))
      assert.strictEqual(server.requests.length, 1)
    }).pipe(inMemory())
  )

  it.live("20 parallel calls on a budget for 4 are 4 requests (BEY-01)", () =>
    Effect.gen(function* () {
      const first = yield* world(0.05)
      const server = first.server
      server.always({ text: "ok", usage: { input: 1000, output: 1000 }, delayFirstMs: 50 })
      const model = LangChain.governWith(first.openai({ maxTokens: 1000 }), {
        ...first.options,
        estimateInput: () => 1000
      })
      const results = yield* Effect.promise(() =>
        Promise.allSettled(Array.from({ length: 20 }, () => model.invoke("hi")))
      )
      const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []))
      assert.strictEqual(refused.length, 16)
      assert.isTrue(refused.every(isGovernanceError))
      assert.strictEqual(server.requests.length, 4)
    }).pipe(inMemory())
  )

  it.live("a failed request costs nothing, one that breaks costs what was held (DEC-07)", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world()
      const model = LangChain.governWith(openai(), { ...options, estimateInput: () => 50 })
      server.next({ status: 400 })
      yield* Effect.promise(() => model.invoke("hi").catch(() => {}))
      assert.deepStrictEqual(yield* spent, { held: 0n, usd: 0n, tokens: 0n })
      server.next({ dieAfterChunks: 0 })
      yield* Effect.promise(() => model.invoke("hi").catch(() => {}))
      assert.strictEqual((yield* spent).usd, price(50, 100))
    }).pipe(inMemory())
  )

  it.live("wrapped twice is wrapped once", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world()
      const model = LangChain.governWith(openai(), options)
      assert.strictEqual(LangChain.governWith(model, options), model)
      server.always({ usage: { input: 10, output: 5 } })
      yield* Effect.promise(() => model.invoke("hi"))
      assert.strictEqual((yield* spent).tokens, 15n)
    }).pipe(inMemory())
  )
})
