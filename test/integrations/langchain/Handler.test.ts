import { assert, describe, it } from "@effect/vitest"
import { tool } from "@langchain/core/tools"
import { Effect } from "effect"
import { z } from "zod"
import { GovernanceCallbackHandler } from "../../../src/integrations/LangChain.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { Presence } from "../../../src/services/Presence.ts"
import { inMemory, kinds, settled, spent, world } from "./World.ts"

const secret = tool(() => "", { name: "secret", description: "hidden", schema: z.object({}) })

describe("GovernanceCallbackHandler", () => {
  it.live("with enforce a call passes all rooms and is charged what it used (WRP-07)", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world()
      server.always({ text: "hello", usage: { input: 12, output: 3 } })
      const callbacks = [new GovernanceCallbackHandler({ ...options, enforce: true })]
      yield* Effect.promise(() => openai().invoke("hi", { callbacks }))
      assert.strictEqual((yield* spent).tokens, 15n)
      yield* Effect.promise(async () => {
        for await (const _ of await openai().stream("hi", { callbacks }));
      })
      assert.strictEqual((yield* settled).tokens, 30n)
    }).pipe(inMemory())
  )

  it.live("with enforce a refusal comes raw and nothing is sent, for invoke, stream and batch (WRP-07)", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world("0.0000001")
      const callbacks = [new GovernanceCallbackHandler({ ...options, enforce: true })]
      const model = openai()
      const errors = yield* Effect.promise(() =>
        Promise.all([
          model.invoke("hi", { callbacks }).catch((e: unknown) => e),
          model.batch(["a", "b"], { callbacks }).catch((e: unknown) => e),
          (async () => {
            for await (const _ of await model.stream("hi", { callbacks }));
          })().catch((e: unknown) => e)
        ])
      )
      for (const error of errors) assert.strictEqual((error as { _tag?: string })._tag, "BudgetExceeded")
      yield* (yield* Presence).halt("clerk", { by: "op", reason: "x" })
      assert.isTrue(
        isHaltError(yield* Effect.promise(() => model.invoke("hi", { callbacks }).catch((e: unknown) => e)))
      )
      assert.strictEqual(server.requests.length, 0)
    }).pipe(inMemory())
  )

  it.live(
    "with enforce an error that names a status is free only where nothing of an answer came (CST-11, BEY-07)",
    () =>
      Effect.gen(function* () {
        const { options } = yield* world()
        const handler = new GovernanceCallbackHandler({ ...options, enforce: true })
        const unavailable = Object.assign(new Error("unavailable"), { status: 503 })
        const parameters = { invocation_params: { model: "gpt-4o", max_tokens: 100 } }
        const failing = (runId: string, tokens: ReadonlyArray<string>) =>
          Effect.promise(async () => {
            await handler.handleLLMStart({}, ["hi"], runId, undefined, parameters, [], { ls_provider: "openai" })
            for (const token of tokens) handler.handleLLMNewToken(token, {}, runId)
            await handler.handleLLMError(unavailable, runId)
          })
        yield* failing("refused", [])
        assert.strictEqual((yield* settled).usd, 0n)
        yield* failing("cut off", ["It ", "is ", "so"])
        const { held, usd } = yield* settled
        assert.strictEqual(held, 0n)
        assert.isTrue(usd > 0n)
      }).pipe(inMemory())
  )

  it.live("with enforce a hidden tool in a request refuses it, and a tool that is not allowed does not run", () =>
    Effect.gen(function* () {
      const { openai, options, server } = yield* world()
      const callbacks = [new GovernanceCallbackHandler({ ...options, enforce: true })]
      const error = yield* Effect.promise(() =>
        openai()
          .bindTools([secret])
          .invoke("hi", { callbacks })
          .catch((e: unknown) => e)
      )
      assert.strictEqual((error as { _tag?: string })._tag, "ScopeViolation")
      assert.strictEqual(server.requests.length, 0)
      let ran = 0
      const made = (name: string) => tool(() => String(++ran), { name, description: name, schema: z.object({}) })
      yield* Effect.promise(() => made("search").invoke({}, { callbacks }))
      const refused = yield* Effect.promise(() =>
        made("drop")
          .invoke({}, { callbacks })
          .catch((e: unknown) => e)
      )
      assert.isTrue(isGovernanceError(refused))
      assert.strictEqual(ran, 1)
    }).pipe(inMemory())
  )

  it.live(
    "without enforce it never throws, not for an unknown model either, and writes down what happened (CST-14)",
    () =>
      Effect.gen(function* () {
        const { openai, options, server } = yield* world("0.0000001")
        server.always({ text: "hello", usage: { input: 12, output: 3 } })
        const callbacks = [new GovernanceCallbackHandler({ ...options, enforce: false })]
        yield* Effect.promise(() => openai({ model: "gpt-9-ultra" }).invoke("hi", { callbacks }))
        yield* Effect.promise(() => openai().invoke("hi", { callbacks }))
        assert.strictEqual((yield* spent).tokens, 30n)
        assert.strictEqual((yield* kinds).filter((kind) => kind === "llm.observed").length, 2)
      }).pipe(inMemory())
  )
})
