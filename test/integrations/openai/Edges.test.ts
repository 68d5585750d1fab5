import { assert, describe, it } from "@effect/vitest"
import OpenAI, { BedrockOpenAI } from "openai"
import { ResponsesToolRunner } from "openai/helpers/responses-tool-runner"
import { within } from "../../../src/integrations/CurrentCall.ts"
import { begin } from "../../../src/integrations/LiveCall.ts"
import { governWith } from "../../../src/integrations/OpenAi.ts"
import { agentId, openWorld, rejection, sessionId, until } from "../ClientWorld.ts"
import { tagOf } from "../MethodCases.ts"
import { clientOf, messages, model, price } from "./Client.ts"

const usage = { input: 10, output: 7 }
const cost = 10 * price.input + 7 * price.output
const body = { model, messages, max_completion_tokens: 50 }

describe("A governed OpenAI client at its edges", () => {
  it("refuses a model that has no price before anything is sent (CST-05, OQ-12)", async () => {
    await using world = await openWorld()
    const error = await rejection(clientOf(world).chat.completions.create({ ...body, model: "gpt-nobody-knows" }))
    assert.strictEqual(tagOf(error), "UnknownModelError")
    assert.strictEqual(world.provider.requests.length, 0)
  })

  it("holds the declared maximum for each of several answers (CST-03)", async () => {
    await using world = await openWorld({ script: { usage: null } })
    const client = clientOf(world)
    await client.chat.completions.create({ ...body, n: 3 })
    const chat = await world.spent()
    assert.isAtLeast(chat, 150 * price.output)
    await client.completions.create({ model, prompt: ["one", "two"], max_tokens: 50, best_of: 2 })
    assert.isAtLeast((await world.spent()) - chat, 200 * price.output)
  })

  it("charges embeddings by their input (CST-11)", async () => {
    await using world = await openWorld({ script: { usage: { input: 100, output: 0 } } })
    await clientOf(world).embeddings.create({ model: "text-embedding-3-small", input: "x".repeat(50) })
    assert.strictEqual(await world.spent(), 100 * 20)
  })

  it("charges what was held where the SDK's own timer ends the last attempt (CST-11)", async () => {
    await using world = await openWorld({ script: { hang: true } })
    const client = clientOf(world, {}, { timeout: 100, maxRetries: 1 })
    const error = await rejection(client.chat.completions.create(body))
    assert.instanceOf(error, OpenAI.APIConnectionTimeoutError)
    assert.strictEqual(world.provider.requests.length, 2)
    assert.isAtLeast(await world.spent(), 50 * price.output)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
  })

  it("charges what was held where the caller aborts before the answer, and nothing where he does before the request (CST-11)", async () => {
    await using world = await openWorld({ script: { hang: true } })
    const controller = new AbortController()
    const call = rejection(clientOf(world).chat.completions.create(body, { signal: controller.signal }))
    await world.provider.arrived(1)
    controller.abort()
    assert.instanceOf(await call, OpenAI.APIUserAbortError)
    const spent = await world.spent()
    assert.isAtLeast(spent, 50 * price.output)
    await rejection(clientOf(world).chat.completions.create(body, { signal: AbortSignal.abort() }))
    assert.strictEqual(await world.spent(), spent)
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("joins the call of a wrapper above it, and counts once (BEY-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const { governance } = world
    const live = await begin({
      host: governance,
      call: { agentId, sessionId, model, maxTokens: 50 },
      provider: "openai"
    })
    await within(live, () => clientOf(world).chat.completions.create(body))
    await live.settle({ _tag: "Completed" })
    assert.strictEqual(await world.spent(), cost)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
  })

  it("stays governed when somebody takes its hooks away (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = clientOf(world, {}, { maxRetries: 0 })
    Object.assign(client, { prepareOptions: async () => {} })
    await client.chat.completions.create(body)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
    assert.instanceOf(await rejection(client.images.generate({ prompt: "x" })), OpenAI.PermissionDeniedError)
    Object.assign(client, { makeRequest: Reflect.get(OpenAI.prototype, "makeRequest") })
    await client.chat.completions.create(body)
    assert.strictEqual((await world.kinds()).filter((kind) => kind === "llm.result").length, 2)
    await world.halt()
    assert.instanceOf(await rejection(client.chat.completions.create(body)), OpenAI.PermissionDeniedError)
    assert.strictEqual(world.provider.requests.length, 2)
  })

  it("charges what was held when somebody takes its fetch away (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = clientOf(world)
    Object.assign(client, { fetch: globalThis.fetch })
    await client.chat.completions.create(body)
    assert.isAtLeast(await world.spent(), 50 * price.output)
    assert.strictEqual((await world.kinds()).length, 2)
  })

  it("governs an options object that is used twice as two calls (BEY-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = clientOf(world)
    const options = { method: "post" as const, path: "/chat/completions", body }
    await Promise.all([client.request(options), client.request(options)])
    await client.request(options)
    assert.strictEqual((await world.kinds()).filter((kind) => kind === "llm.result").length, 3)
    assert.strictEqual(await world.spent(), 3 * cost)
  })

  it("refuses a client with X.509 workload identity, which sends past every hook (ENT-16)", async () => {
    await using world = await openWorld()
    const client = new OpenAI({ apiKey: "x" })
    Object.assign(Reflect.get(client, "_options"), { x509Transport: {} })
    assert.throws(() => governWith(client, { governance: world.governance, agentId }), /X\.509/)
  })

  it("governs the requests of the SDK's runners of responses (WRP-01)", async () => {
    await using world = await openWorld()
    world.provider.next({ usage, toolCalls: [{ name: "look", arguments: {} }] }, { usage, text: "Done." })
    let ran = 0
    const look = {
      tool: {
        type: "function" as const,
        name: "look",
        description: "x",
        parameters: { type: "object" },
        strict: false
      },
      execute: () => {
        ran++
        return "seen"
      }
    }
    const runner = new ResponsesToolRunner({ functions: [look] })
    await runner.run(clientOf(world), { model, input: "look", max_output_tokens: 50 })
    assert.strictEqual(ran, 1)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result", "llm.call", "llm.result"])
    await world.halt()
    const error = await rejection(runner.run(clientOf(world), { model, input: "look", max_output_tokens: 50 }))
    assert.instanceOf(error, Error)
    assert.strictEqual(world.provider.requests.length, 2)
  })

  it("of Bedrock is governed like the others, as far as the price book knows its models (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const { governance, provider } = world
    const bedrock = new BedrockOpenAI({ apiKey: "x", baseURL: provider.openAiUrl })
    const client = governWith(bedrock, { governance, agentId, sessionId })
    await client.responses.create({ model, input: "x", max_output_tokens: 50 })
    assert.strictEqual(await world.spent(), cost)
    const unknown = { model: "openai.nobody-knows-v1", input: "x", max_output_tokens: 50 }
    assert.strictEqual(tagOf(await rejection(client.responses.create(unknown))), "UnknownModelError")
    assert.strictEqual(provider.requests.length, 1)
  })

  it("leaves no hold behind a hundred calls of every kind (BEY-01)", async () => {
    await using world = await openWorld({ script: ({ index }) => (index % 3 === 0 ? { status: 400 } : { usage }) })
    const client = clientOf(world, {}, { maxRetries: 0 })
    await Promise.allSettled(Array.from({ length: 100 }, () => client.chat.completions.create(body)))
    await until(async () => (await world.money()).held === 0)
    const answered = world.provider.requests.filter(({ index }) => index % 3 !== 0).length
    assert.strictEqual((await world.money()).spent, answered * cost)
  })
})
