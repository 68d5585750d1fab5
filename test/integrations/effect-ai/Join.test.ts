import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { LanguageModel, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import {
  LanguageModel as Governed,
  Toolkit as GovernedToolkit,
  HttpClient,
  openAi
} from "../../../src/integrations/EffectAi.ts"
import { isGovernanceError } from "../../../src/schema/GovernanceError.ts"
import { Coverage } from "../../../src/services/Coverage.ts"
import {
  agentId,
  exact,
  kinds,
  layerModel,
  Provider,
  price,
  requests,
  sessionId,
  spent,
  text,
  usage,
  world
} from "./World.ts"

const http = HttpClient.layer({ agentId, sessionId, provider: openAi })
const hi = LanguageModel.generateText({ prompt: "hi" })
const stream = LanguageModel.streamText({ prompt: "hi" })

describe("A governed HTTP client below effect/ai (BEY-03, THR-11)", () => {
  it.live("governs a model alone: same money, same log", () =>
    Effect.gen(function* () {
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* hi).text, text)
        yield* Stream.runDrain(stream)
      }).pipe(Effect.provide(layerModel(http)))
      assert.strictEqual(yield* spent(), 2 * exact)
      assert.strictEqual((yield* kinds()).length, 4)
    }).pipe(Effect.provide(world({ script: { text, usage } })))
  )

  it.live("joins the call of a governed model above it: counted once", () =>
    Effect.gen(function* () {
      yield* hi
      yield* Stream.runDrain(stream)
      yield* Effect.all([hi, hi, hi], { concurrency: 3 })
      assert.strictEqual(yield* spent(), 5 * exact)
      assert.strictEqual((yield* kinds()).length, 10)
      assert.strictEqual(yield* requests, 5)
    }).pipe(Effect.provide(world({ script: { text, usage }, http })))
  )

  it.live("says more than the framework does: the model that answered, and the usage of a stream that was left", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      provider.next({ usage, model: "gpt-4o" })
      yield* hi
      assert.strictEqual(yield* spent(), 10 * 2500 + 75 * 10_000)
      provider.next({ text, usage, chunkSize: 5, delayMs: 5 })
      yield* Stream.runDrain(Stream.take(stream, 4))
      yield* Effect.promise(() => provider.closed(1))
      const left = (yield* spent()) - (10 * 2500 + 75 * 10_000)
      assert.isAbove(left, 0)
      assert.isBelow(left, 200 * price.output)
    }).pipe(Effect.provide(world({ http })))
  )

  it.live("refuses below an ungoverned model, and isGovernanceError finds it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(hi, layerModel(http)))
      assert.isTrue(isGovernanceError(error))
      assert.strictEqual(yield* requests, 0)
    }).pipe(Effect.provide(Layer.fresh(world({ scope: { allowedModels: ["claude-*"] } }))))
  )

  it.live("a governed model above a governed one counts once, whatever stands between them (WRP-01)", () =>
    Effect.gen(function* () {
      const between = { ...(yield* LanguageModel.LanguageModel) }
      const above = yield* Governed.make({ agentId, sessionId, model: "gpt-4o-mini", maxOutputTokens: 200 }).pipe(
        Effect.provideService(LanguageModel.LanguageModel, between)
      )
      yield* above.generateText({ prompt: "hi" })
      yield* above.generateObject({ prompt: "hi", schema: Schema.Struct({}) })
      yield* Stream.runDrain(above.streamText({ prompt: "hi" }))
      assert.strictEqual(yield* requests, 3)
      assert.strictEqual(yield* spent(), 3 * exact)
      assert.strictEqual((yield* kinds()).length, 6)
    }).pipe(Effect.provide(world({ script: { text: "{}", usage } })))
  )

  it.live("what a consumer of a stream, or a tool, asks meanwhile is a call of its own", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      yield* Stream.runForEach(Stream.take(stream, 1), () => hi)
      assert.strictEqual((yield* kinds()).filter((kind) => kind === "llm.call").length, 2)
      provider.next({ toolCalls: [{ name: "think", arguments: {} }] })
      const Tools = Toolkit.make(Tool.make("think", { success: Schema.String }))
      const model = yield* LanguageModel.LanguageModel
      const handlers = Tools.toLayer({
        think: () => Effect.orDie(Effect.map(model.generateText({ prompt: "hi" }), (reply) => reply.text))
      }).pipe(GovernedToolkit.govern(Tools, { agentId, sessionId }))
      const thought = LanguageModel.generateText({ prompt: "think", toolkit: Tools })
      yield* Effect.provide(thought, handlers)
      yield* spent()
      assert.deepStrictEqual(
        (yield* kinds()).filter((kind) => !kind.includes(".result")),
        ["llm.call", "llm.call", "llm.call", "tool.call", "llm.call"]
      )
    }).pipe(Effect.provide(world({ script: { text, usage }, http })))
  )

  it.live("is what counts requests as governed: alone, and below a governed model (BEY-13)", () =>
    Effect.gen(function* () {
      yield* hi
      yield* Stream.runDrain(stream)
      yield* Effect.provide(hi, layerModel(http))
      assert.deepInclude(yield* (yield* Coverage).report, { governed: 3, raw: 0 })
    }).pipe(Effect.provide(world({ script: { text, usage }, http, enableCoverage: true })))
  )

  it.live("is not needed for the count where the layer says where the provider is (BEY-13)", () =>
    Effect.gen(function* () {
      const { openAiUrl } = yield* Provider
      const model = yield* Governed.make({ agentId, sessionId, maxOutputTokens: 200, url: openAiUrl }).pipe(
        Effect.provide(layerModel(FetchHttpClient.layer))
      )
      yield* model.generateText({ prompt: "hi" })
      yield* Stream.runDrain(model.streamText({ prompt: "hi" }))
      yield* Stream.runDrain(Stream.take(model.streamText({ prompt: "hi" }), 2))
      // The one of the layer sends through the client that counts by itself.
      yield* hi
      yield* Effect.provide(hi, layerModel(FetchHttpClient.layer), { local: true })
      assert.deepInclude(yield* (yield* Coverage).report, { governed: 4, raw: 1 })
    }).pipe(Effect.provide(world({ script: { text, usage }, http, enableCoverage: true })))
  )
})
