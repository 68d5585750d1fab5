import { Effect, Layer } from "effect"
import { EmbeddingModel } from "effect/ai"
import { type AiOptions, make as makeCalls } from "./AiCall.ts"
import { current } from "./CurrentCall.ts"

/**
 * Takes the `EmbeddingModel` below and provides it again, with every request to the provider as one governed call, those that a
 * resolver collects included (BEY-03). All waiting requests are one batch, whatever the batches below are made by.
 */
export const layer = (options: AiOptions) => Layer.effect(EmbeddingModel.EmbeddingModel, make(options))

/** The same as an effect, for a program that holds its model as a value. */
export const make = Effect.fnUntraced(function* (options: AiOptions) {
  const inner = yield* EmbeddingModel.EmbeddingModel
  if (governed.has(inner)) {
    yield* Effect.logWarning("wrapper.already_governed", { wrapper: "effect-ai", effect: "the model stays as it is" })
    return inner
  }
  const calls = yield* makeCalls("EmbeddingModel", options)
  const model = yield* EmbeddingModel.make({
    embedMany: ({ inputs }) => {
      const request = {
        ...{ module: "EmbeddingModel", method: "embedMany", llm: "llm.effect.embed" },
        ...{ input: [...inputs], tools: [], maxTokens: 0 }
      }
      const embedded = Effect.map(inner.embedMany(inputs), ({ embeddings, usage }) => ({
        results: embeddings.map(({ vector }) => [...vector]),
        usage: { inputTokens: usage.inputTokens }
      }))
      const counted = calls.once(request, (live) =>
        Effect.tap(embedded, ({ usage: { inputTokens } }) =>
          Effect.sync(() => inputTokens !== undefined && live.reported({ inputTokens, outputTokens: 0 }))
        )
      )
      // Below another wrapper this is part of its call, which counts it.
      return Effect.suspend(() => (current() === undefined ? counted : embedded))
    }
  })
  governed.add(model)
  return model
})

const governed = new WeakSet<EmbeddingModel.EmbeddingModel>()
