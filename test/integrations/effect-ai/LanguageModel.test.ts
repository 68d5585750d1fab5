import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, ResponseIdTracker, Telemetry } from "effect/ai"
import { LanguageModel as Governed, refusals } from "../../../src/integrations/EffectAi.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { Wrappers } from "../../../src/services/Wrappers.ts"
import { exact, halt, kinds, money, Provider, price, requests, spent, text, usage, world } from "./World.ts"

const hi = LanguageModel.generateText({ prompt: "hi" })

describe("A governed language model of effect/ai (BEY-03)", () => {
  it.live("answers as before, costs what the provider reports, and stands in the log (WRP-02, WRP-09)", () =>
    Effect.gen(function* () {
      const reply = yield* hi
      assert.strictEqual(reply.text, text)
      assert.strictEqual(reply.finishReason, "stop")
      assert.strictEqual((yield* money()).spent, exact)
      assert.deepStrictEqual(yield* kinds(), ["llm.call", "llm.result completed"])
      assert.deepStrictEqual([...(yield* Wrappers).registered()], ["effect-ai"])
    }).pipe(Effect.provide(world({ script: { text, usage } })))
  )

  it.live("reads objects by the provider's own rules (BEY-03)", () =>
    Effect.gen(function* () {
      const { value, usage: said } = yield* LanguageModel.generateObject({
        prompt: "an object",
        schema: Schema.Struct({ ok: Schema.Boolean, at: Schema.DateFromString })
      })
      assert.deepStrictEqual(value, { ok: true, at: new Date(0) })
      assert.strictEqual(said.outputTokens.total, 75)
      assert.strictEqual((yield* money()).spent, exact)
    }).pipe(Effect.provide(world({ script: { text: '{"ok":true,"at":"1970-01-01T00:00:00.000Z"}', usage } })))
  )

  it.live("refuses what its policy does not list, before the provider hears of it (WRP-02, SCP-08)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(hi)
      assert.isTrue(AiError.isAiError(error))
      assert.isFalse(error.isRetryable)
      assert.isTrue(isGovernanceError(error))
      assert.isFalse(isHaltError(error))
      assert.include(error.message, "may not use llm llm.effect.generateText")
      const typed = yield* Effect.flip(refusals(hi))
      assert.strictEqual(typed._tag, "ScopeViolation")
      assert.strictEqual(yield* requests, 0)
    }).pipe(Effect.provide(world({ scope: { allowedModels: ["claude-*"] } })))
  )

  it.live("lets a program catch the budget by its name (WRP-02)", () =>
    Effect.gen(function* () {
      const said = yield* refusals(hi).pipe(
        Effect.map(() => "ran"),
        Effect.catchTag("BudgetExceeded", (error) => Effect.succeed(error.message))
      )
      assert.include(said, "Agent clerk needs")
      assert.strictEqual(yield* requests, 0)
    }).pipe(Effect.provide(world({ budget: { perSessionUsd: 0.00001 } })))
  )

  it.live("a halted agent's call never reaches the provider (WRP-02, BEY-05)", () =>
    Effect.gen(function* () {
      yield* halt
      const error = yield* Effect.flip(hi)
      assert.isTrue(isHaltError(error))
      assert.isFalse(isGovernanceError(error))
      assert.strictEqual((yield* Effect.flip(refusals(hi)))._tag, "AgentHaltedError")
      const streamed = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "hi" })))
      assert.isTrue(isHaltError(streamed))
      assert.strictEqual(yield* requests, 0)
    }).pipe(Effect.provide(world()))
  )

  it.live("a halt cuts the provider's socket of a call under way, in under 500 ms (BEY-05)", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      const fiber = yield* Effect.forkChild(Effect.flip(hi))
      yield* Effect.promise(() => provider.arrived(1))
      const from = performance.now()
      yield* halt
      assert.isTrue(isHaltError(yield* Fiber.join(fiber)))
      yield* Effect.promise(() => provider.closed(0))
      assert.isBelow(performance.now() - from, 500)
      yield* spent()
      assert.deepStrictEqual(yield* kinds(), ["llm.call", "llm.result halted"])
    }).pipe(Effect.provide(world({ script: { hang: true } })))
  )

  it.live("what a provider refuses costs nothing, and what nobody knows the end of costs what was held (CST-11)", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      provider.next({ status: 429 })
      assert.strictEqual((yield* Effect.flip(hi)).reason._tag, "RateLimitError")
      assert.strictEqual(yield* spent(), 0)
      provider.next({ dieAfterChunks: 0 })
      yield* Effect.flip(hi)
      const held = yield* spent()
      assert.isAtLeast(held, 200 * price.output)
      provider.next({ usage: null })
      yield* hi
      assert.strictEqual(yield* spent(), held * 2)
    }).pipe(Effect.provide(world()))
  )

  it.live("a provider that nobody reaches costs nothing (CST-11)", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      yield* Effect.promise(() => provider.close())
      assert.strictEqual((yield* Effect.flip(hi)).reason._tag, "NetworkError")
      assert.strictEqual(yield* spent(), 0)
    }).pipe(Effect.provide(world()))
  )

  it.live("20 calls at once on a budget for 4 are 4 requests (DEC-18)", () =>
    Effect.gen(function* () {
      const all = yield* Effect.all(
        Array.from({ length: 20 }, () => Effect.exit(hi)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(all.filter(({ _tag }) => _tag === "Success").length, 4)
      assert.strictEqual(yield* requests, 4)
    }).pipe(Effect.provide(world({ script: { usage: null }, budget: { perSessionUsd: 0.0005 + 0.00003 } })))
  )

  it.live("hands the program's own trackers to the provider's model alone (BEY-03)", () => {
    const seen: Array<string | undefined> = []
    let traced = 0
    const provider = LanguageModel.make({
      generateText: ({ incrementalPrompt, previousResponseId }) =>
        Effect.sync(() => {
          seen.push(previousResponseId)
          assert.strictEqual(incrementalPrompt === undefined, previousResponseId === undefined)
          return [
            { type: "response-metadata", id: `r${seen.length}` },
            { type: "text", text: "so" }
          ]
        }),
      streamText: () => Stream.empty
    })
    return Effect.gen(function* () {
      const model = yield* Governed.make({ agentId: "clerk", model: "gpt-4o-mini", maxOutputTokens: 10 }).pipe(
        Effect.provideServiceEffect(LanguageModel.LanguageModel, provider)
      )
      const first = Prompt.make("one")
      const reply = yield* model.generateText({ prompt: first })
      const next = Prompt.fromMessages([
        ...first.content,
        ...Prompt.fromResponseParts(reply.content).content,
        ...Prompt.make("two").content
      ])
      yield* model.generateText({ prompt: next })
      assert.deepStrictEqual(seen, [undefined, "r1"])
      assert.strictEqual(traced, 2)
    }).pipe(
      Effect.provideServiceEffect(ResponseIdTracker.ResponseIdTracker, ResponseIdTracker.make),
      Effect.provideService(Telemetry.CurrentSpanTransformer, () => {
        traced += 1
      }),
      Effect.provide(world())
    )
  })
})
