import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema, Stream } from "effect"
import { EmbeddingModel, LanguageModel } from "effect/ai"
import { LanguageModel as Governed } from "../../../src/integrations/EffectAi.ts"
import { isGovernanceError } from "../../../src/schema/GovernanceError.ts"
import { capture } from "../../services/World.ts"
import { agentId, requests, sessionId, world } from "./World.ts"

const schema = Schema.Struct({ ok: Schema.Boolean })

/** Every member of the service that can reach a provider, as a program uses it. */
const ways = {
  generateObject: (model: LanguageModel.LanguageModel) => Effect.asVoid(model.generateObject({ prompt: "hi", schema })),
  generateText: (model: LanguageModel.LanguageModel) => Effect.asVoid(model.generateText({ prompt: "hi" })),
  streamText: (model: LanguageModel.LanguageModel) => Stream.runDrain(model.streamText({ prompt: "hi" }))
}
const free = ["supportsSystemMessagesInHistory", LanguageModel.TypeId]

const none = () => Effect.die(new Error("nobody asks"))

describe("Every way through the services of effect/ai (THR-05)", () => {
  it.effect("a member that an update adds has to be judged here first", () =>
    Effect.gen(function* () {
      const text = yield* LanguageModel.make({ generateText: none, streamText: () => Stream.fromEffect(none()) })
      assert.deepStrictEqual(Object.keys(text).sort(), [...Object.keys(ways), ...free].sort())
      const embeddings = yield* EmbeddingModel.make({ embedMany: none })
      assert.deepStrictEqual(
        Object.keys(embeddings).sort(),
        ["embed", "embedMany", "resolver", EmbeddingModel.TypeId].sort()
      )
    })
  )

  it.live("each is refused to an agent that may do nothing, and the provider hears nothing", () =>
    Effect.gen(function* () {
      const model = yield* LanguageModel.LanguageModel
      for (const [name, way] of Object.entries(ways)) {
        assert.isTrue(isGovernanceError(yield* Effect.flip(way(model))), name)
      }
      assert.strictEqual(yield* requests, 0)
    }).pipe(Effect.provide(world({ scope: { allowedModels: [] } })))
  )

  it.live("a second layer changes nothing and is warned of; a model without a name is refused (WRP-01)", () => {
    const log = capture()
    return Effect.gen(function* () {
      const model = yield* LanguageModel.LanguageModel
      const again = yield* Governed.make({ agentId, sessionId, model: "gpt-4o", maxOutputTokens: 1 })
      assert.strictEqual(again, model)
      assert.strictEqual(log.named("wrapper.already_governed").length, 1)
      const bare = yield* LanguageModel.make({ generateText: none, streamText: () => Stream.fromEffect(none()) })
      const exit = yield* Governed.make({ agentId, maxOutputTokens: 1 }).pipe(
        Effect.provideService(LanguageModel.LanguageModel, bare),
        Effect.exit
      )
      assert.isTrue(
        Exit.isFailure(exit) && isGovernanceError(Exit.findErrorOption(exit).pipe((found) => Object(found).value))
      )
    }).pipe(Effect.provide(world()), Effect.provide(log.layer))
  })
})
