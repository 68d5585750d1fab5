import { assert, describe, it } from "@effect/vitest"
import { BaseChatModel } from "@langchain/core/language_models/chat_models"
import { ChatOpenAI } from "@langchain/openai"
import { Effect } from "effect"
import * as LangChain from "../../../src/integrations/LangChain.ts"
import { inMemory, kinds, world } from "./World.ts"

/** How a method of a chat model reaches the provider, if it does. What is not listed here fails the test. */
type Reach = "governed" | "makes a governed one" | "free"

const reached: Readonly<Record<string, Reach>> = {
  invoke: "governed",
  stream: "governed",
  batch: "governed",
  transform: "governed",
  generate: "governed",
  generatePrompt: "governed",
  streamEvents: "governed",
  streamV2: "governed",
  streamLog: "governed",
  _generate: "governed",
  _generateUncached: "governed",
  _generateCached: "governed",
  _streamResponseChunks: "governed",
  _streamChatModelEvents: "governed",
  _streamIterator: "governed",
  _streamLog: "governed",
  _streamEventsV1: "governed",
  _streamEventsV2: "governed",
  _transformStreamWithConfig: "governed",
  _batchWithConfig: "governed",
  _callWithConfig: "governed",
  moderateContent: "free",
  bindTools: "makes a governed one",
  withConfig: "makes a governed one",
  withStructuredOutput: "makes a governed one",
  withRetry: "makes a governed one",
  withFallbacks: "makes a governed one",
  asTool: "makes a governed one",
  pipe: "makes a governed one",
  pick: "makes a governed one",
  assign: "makes a governed one",
  withListeners: "makes a governed one"
}

const silent =
  /^(constructor|to[A-Z]\w*|lc_\w+|get[A-Z]\w*|invocationParams|_get\w+|_llmType|_modelType|_identifyingParams|identifyingParams|serialize|callKeys|profile|secrets?|_separate\w+|_filter\w+|_convert\w+|_concat\w+|_useResponsesApi|_combineCallOptions|_combineLLMOutput|_mergeSerialized|_createSerialized\w*|_isPipelining|_to\w+|_llm\w+|_addVersion|_should\w+|lc_\w*|moveConfigToBindings|name|_update\w+|_default\w*|_inherited\w*)$/

const methodsOf = (model: object): ReadonlyArray<string> => {
  const names = new Set<string>()
  for (let at: object | null = model; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function") names.add(name)
    }
  }
  return [...names]
}

/** What JavaScript reaches although TypeScript calls it protected. */
const partOf = (model: ChatOpenAI, name: string): ChatOpenAI => Reflect.get(model, name)

describe("every method of LangChain's chat models", () => {
  it("is in the table: one that an update adds has to be looked at", () => {
    const model = new ChatOpenAI({ model: "gpt-4o", apiKey: "none" })
    const unknown = methodsOf(model).filter((name) => !(name in reached) && !silent.test(name))
    assert.deepStrictEqual(unknown, [])
    for (const name of Object.keys(reached)) assert.property(model, name)
    assert.isTrue(model instanceof BaseChatModel)
  })

  it.live("that reaches the provider is one governed call (WRP-01, THR-11)", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world()
      const model = LangChain.governWith(openai(), options)
      const drained = async (stream: AsyncIterable<unknown>) => {
        for await (const _ of stream);
      }
      const ways: Readonly<Record<string, () => Promise<unknown>>> = {
        invoke: () => model.invoke("hi"),
        stream: async () => drained(await model.stream("hi")),
        batch: () => model.batch(["hi"]),
        generate: () => model.generate([["hi"]]),
        streamEvents: async () => drained(model.streamEvents("hi", { version: "v2" })),
        streamEventsNew: async () => drained(model.streamEvents("hi")),
        streamLog: async () => drained(model.streamLog("hi")),
        transform: async () =>
          drained(
            model.transform(
              (async function* () {
                yield "hi"
              })(),
              {}
            )
          ),
        withRetry: () => model.withRetry().invoke("hi"),
        withFallbacks: () => model.withFallbacks({ fallbacks: [model] }).invoke("hi"),
        pipe: () => model.pipe((message) => message.content).invoke("hi"),
        completions: () => partOf(model, "completions").invoke("hi"),
        responses: () => partOf(model, "responses").invoke("hi"),
        bindTools: () => model.bindTools([]).invoke("hi"),
        withConfig: () =>
          model
            .withConfig({ tags: ["a"] })
            .withConfig({ tags: ["b"] })
            .invoke("hi")
      }
      let calls = 0
      for (const [name, way] of Object.entries(ways)) {
        yield* Effect.promise(way)
        calls += 1
        const rows = yield* kinds
        assert.strictEqual(rows.filter((kind) => kind === "llm.call").length, calls, name)
        assert.strictEqual(rows.filter((kind) => kind === "llm.result").length, calls, name)
        assert.strictEqual(server.requests.length, calls, name)
      }
    }).pipe(inMemory())
  )
})
