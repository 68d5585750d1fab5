import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { AiError, EmbeddingModel } from "effect/ai"
import { FetchHttpClient, HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { EmbeddingModel as Governed, refusals } from "../../../src/integrations/EffectAi.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { agentId, halt, kinds, Provider, requests, sessionId, spent, type WorldOptions, world } from "./World.ts"

const Reply = Schema.Struct({
  data: Schema.Array(Schema.Struct({ embedding: Schema.Array(Schema.Finite) })),
  usage: Schema.optional(Schema.Struct({ prompt_tokens: Schema.Int }))
})

/** The provider's embeddings as they are, over real HTTP. */
const ungoverned = Layer.effect(
  EmbeddingModel.EmbeddingModel,
  Effect.gen(function* () {
    const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
    const { openAiUrl } = yield* Provider
    return yield* EmbeddingModel.make({
      embedMany: ({ inputs }) =>
        client
          .execute(
            HttpClientRequest.post(`${openAiUrl}/embeddings`).pipe(
              HttpClientRequest.bodyJsonUnsafe({
                model: "text-embedding-3-small",
                input: inputs,
                encoding_format: "float"
              })
            )
          )
          .pipe(
            Effect.flatMap(HttpClientResponse.schemaBodyJson(Reply)),
            Effect.map(({ data, usage }) => ({
              results: data.map(({ embedding }) => [...embedding]),
              usage: { inputTokens: usage?.prompt_tokens }
            })),
            Effect.mapError(() =>
              AiError.make({ module: "Test", method: "embedMany", reason: new AiError.UnknownError({}) })
            )
          )
    })
  })
)

const inside = (options: WorldOptions = {}) =>
  Effect.provide(
    Governed.layer({ agentId, sessionId, model: "text-embedding-3-small", provider: "openai" }).pipe(
      Layer.provide(ungoverned),
      Layer.provide(FetchHttpClient.layer),
      Layer.provideMerge(world(options))
    )
  )
const model = EmbeddingModel.EmbeddingModel
/** Nano-USD a token. */
const price = 20

describe("A governed embedding model of effect/ai (BEY-03)", () => {
  it.live("costs what the provider reports, one call for each request of the provider (WRP-02)", () =>
    Effect.gen(function* () {
      const { embed, embedMany } = yield* model
      const many = yield* embedMany(["a", "b"])
      assert.deepStrictEqual(
        many.embeddings.map(({ vector }) => vector),
        [
          [0.25, -0.5, 1],
          [0.25, -0.5, 1]
        ]
      )
      assert.strictEqual(many.usage.inputTokens, 1000)
      yield* Effect.all([embed("c"), embed("d"), embed("e")], { concurrency: "unbounded" })
      assert.strictEqual(yield* requests, 2)
      assert.strictEqual(yield* spent(), 2 * 1000 * price)
      assert.strictEqual((yield* kinds()).length, 4)
    }).pipe(inside({ script: { usage: { input: 1000, output: 0 } } }))
  )

  it.live("costs what was held where no usage is reported (CST-11)", () =>
    Effect.gen(function* () {
      yield* (yield* model).embedMany(["a"])
      assert.isAbove(yield* spent(), 0)
    }).pipe(inside({ script: { usage: null } }))
  )

  it.live("is refused before the provider hears of it, by every method (WRP-02, BEY-05)", () =>
    Effect.gen(function* () {
      const { embed, embedMany, resolver } = yield* model
      const ways: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        embed("a"),
        embedMany(["a"]),
        Effect.request(new EmbeddingModel.EmbeddingRequest({ input: "a" }), resolver)
      ]
      for (const way of ways) assert.isTrue(isGovernanceError(yield* Effect.flip(way)))
      const typed = yield* Effect.flip(refusals(embedMany(["a"])))
      assert.strictEqual(typed._tag, "ScopeViolation")
      yield* halt
      for (const way of ways) assert.isTrue(isHaltError(yield* Effect.flip(way)))
      assert.strictEqual(yield* requests, 0)
    }).pipe(inside({ scope: { allowedModels: ["gpt-*"] } }))
  )
})
