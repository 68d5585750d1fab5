import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI, { AzureOpenAI } from "openai"
import { govern, governWith } from "../../../src/integrations/OpenAi.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { Wrappers } from "../../../src/services/Wrappers.ts"
import { agentId, openWorld, rejection, sessionId, slowly } from "../ClientWorld.ts"
import { clientOf, messages, model, price } from "./Client.ts"

const usage = { input: 10, output: 7 }
const cost = 10 * price.input + 7 * price.output

describe("A governed OpenAI client", () => {
  it("is the same object, registers itself, and charges what the provider reports (WRP-01, WRP-02, WRP-09)", async () => {
    await using world = await openWorld({ script: { usage, text: "Fine." } })
    const client = new OpenAI({ apiKey: "sk-test", baseURL: world.provider.openAiUrl })
    const { governance } = world
    assert.strictEqual(governWith(client, { governance, agentId, sessionId }), client)
    const reply = await client.chat.completions.create({ model, messages, max_completion_tokens: 50 })
    assert.strictEqual(reply.choices[0]?.message.content, "Fine.")
    assert.deepStrictEqual(await world.money(), { spent: cost, held: 0 })
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
    assert.deepStrictEqual(await world.run(Wrappers.use((wrappers) => Effect.succeed(wrappers.registrations()))), [
      { name: "openai", sdkVersion: "7.57.0", clients: 1 }
    ])
  })

  it("wrapped a second time stays as it is, with a warning, and counts once (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = clientOf(world)
    const { governance } = world
    assert.strictEqual(governWith(client, { governance, agentId, sessionId }), client)
    assert.strictEqual(world.logged("wrapper.already_governed").length, 1)
    await client.chat.completions.create({ model, messages, max_completion_tokens: 50 })
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
  })

  it("is governed in an Effect program by the governance at hand (ENT-18)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = new OpenAI({ apiKey: "sk-test", baseURL: world.provider.openAiUrl })
    await world.run(govern(client, { agentId, sessionId }))
    await client.chat.completions.create({ model, messages, max_completion_tokens: 50 })
    assert.strictEqual((await world.money()).spent, cost)
  })

  it("of another SDK or major version is refused when it is wrapped (ENT-16)", async () => {
    await using world = await openWorld()
    const { governance } = world
    const options = { governance, agentId }
    // A stand-in is what the check is about.
    assert.throws(() => governWith({} as OpenAI, options), /openai: this is no client of openai 7/)
    const old = new OpenAI({ apiKey: "sk-test" })
    Object.assign(old, { getUserAgent: () => "OpenAI/JS 4.104.0" })
    assert.throws(() => governWith(old, options), /is of version 4.104.0, but this wrapper needs openai 7/)
    const failed = await world.run(Effect.flip(govern(old, { agentId })))
    assert.strictEqual(failed._tag, "ConfigurationError")
    assert.throws(() => governWith(new OpenAI({ apiKey: "x" }), { ...options, agentId: "" }), /agentId/)
  })

  it("keeps one session for all its calls where none is given (WRP-03)", async () => {
    await using world = await openWorld({ script: { usage }, budget: { perSessionTokens: 250 } })
    const client = clientOf(world, { sessionId: undefined })
    const create = () => client.chat.completions.create({ model, messages, max_completion_tokens: 50 })
    for (let i = 0; i < 9; i++) await create()
    const error = await rejection(create())
    assert.include(String(error), "session")
    assert.strictEqual(world.provider.requests.length, 9)
  })

  it("a halted agent's call never reaches the provider, and the error is raw (WRP-02, BEY-05)", async () => {
    await using world = await openWorld()
    const client = clientOf(world)
    await world.halt()
    const from = performance.now()
    for (const call of [
      () => client.chat.completions.create({ model, messages, max_tokens: 5 }),
      () => client.chat.completions.create({ model, messages, max_tokens: 5, stream: true }),
      () => client.responses.create({ model, input: "hi", max_output_tokens: 20 }),
      () => client.chat.completions.create({ model, messages, max_tokens: 5 }).withResponse(),
      () => client.chat.completions.create({ model, messages, max_tokens: 5 }).asResponse(),
      () => client.post("/chat/completions", { body: { model, messages, max_tokens: 5 } })
    ]) {
      const error = await rejection(call())
      assert.strictEqual((error as { _tag?: string })._tag, "AgentHaltedError")
    }
    // No SDK retry came in between: each of those waits half a second.
    assert.isBelow(performance.now() - from, 1500)
    assert.strictEqual(world.provider.requests.length, 0)
  })

  it("refusals inside helper streams are found along their causes (ERR-01)", async () => {
    await using world = await openWorld({ budget: { perSessionUsd: 0 } })
    const client = clientOf(world)
    const body = { model, messages, max_tokens: 50 }
    const chat = await rejection(client.chat.completions.stream(body).finalChatCompletion())
    assert.isTrue(isGovernanceError(chat))
    const responses = await rejection(
      client.responses.stream({ model, input: "hi", max_output_tokens: 50 }).finalResponse()
    )
    assert.isTrue(isGovernanceError(responses))
    await world.halt()
    assert.isTrue(isHaltError(await rejection(client.chat.completions.stream(body).finalChatCompletion())))
    assert.strictEqual(world.provider.requests.length, 0)
  })

  it("takes one ticket for a call that the SDK tries three times (BEY-01)", async () => {
    await using world = await openWorld()
    world.provider.next({ status: 503, retryAfter: 0.01 }, { status: 503, retryAfter: 0.01 }, { usage })
    await clientOf(world).chat.completions.create({ model, messages, max_completion_tokens: 50 })
    assert.strictEqual(world.provider.requests.length, 3)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
    assert.deepStrictEqual(await world.money(), { spent: cost, held: 0 })
  })

  it("charges nothing where the provider refused to the end (CST-11)", async () => {
    await using world = await openWorld({ script: { status: 503, retryAfter: 0.01, errorMessage: "secret of 503" } })
    const error = await rejection(clientOf(world).chat.completions.create({ model, messages, max_tokens: 50 }))
    assert.instanceOf(error, OpenAI.InternalServerError)
    assert.strictEqual(world.provider.requests.length, 3)
    assert.deepStrictEqual(await world.money(), { spent: 0, held: 0 })
  })

  it("charges the declared maximum where an attempt's answer was lost, though the next one came (CST-11)", async () => {
    await using world = await openWorld()
    world.provider.next({ dieAfterChunks: 0 }, { usage })
    await clientOf(world).chat.completions.create({ model, messages, max_completion_tokens: 50 })
    assert.strictEqual(world.provider.requests.length, 2)
    const { held, spent } = await world.money()
    assert.strictEqual(held, 0)
    assert.isAtLeast(spent, 50 * price.output)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
  })

  it("charges nothing where nobody listens at the address (CST-11)", async () => {
    await using world = await openWorld()
    const client = clientOf(world, {}, { maxRetries: 0 })
    await world.provider.close()
    await rejection(client.chat.completions.create({ model, messages, max_tokens: 50 }))
    assert.deepStrictEqual(await world.money(), { spent: 0, held: 0 })
  })

  it("holds its halt while the SDK waits for its next attempt (BEY-05)", async () => {
    await using world = await openWorld({ script: { status: 503, retryAfter: 30 } })
    const call = rejection(clientOf(world).chat.completions.create({ model, messages, max_tokens: 50 }))
    await world.provider.arrived(1)
    const from = performance.now()
    await world.halt()
    assert.isTrue(isHaltError(await call))
    assert.isBelow(performance.now() - from, 500)
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("lets the caller's own hooks run first, and admits what they made of the request (WRP-01)", async () => {
    await using world = await openWorld({ scope: { allowedModels: ["gpt-4o-mini"] } })
    class Mine extends OpenAI {
      protected override async prepareOptions(options: { body?: unknown }) {
        options.body = { ...(options.body as object), model: "gpt-4o" }
      }
    }
    const { governance, provider } = world
    const client = governWith(new Mine({ apiKey: "x", baseURL: provider.openAiUrl }), { governance, agentId })
    const error = await rejection(client.chat.completions.create({ model, messages, max_tokens: 5 }))
    assert.strictEqual((error as { _tag?: string })._tag, "ScopeViolation")
    assert.strictEqual(provider.requests.length, 0)
  })

  it("governs by itself what a hook below the gate has made of an admitted request (WRP-02)", async () => {
    await using world = await openWorld({ scope: { allowedModels: ["gpt-4o-mini"] } })
    class Late extends OpenAI {
      protected override async prepareRequest(request: RequestInit) {
        request.body = JSON.stringify({ ...JSON.parse(String(request.body)), model: "gpt-4o" })
      }
    }
    const { governance, provider } = world
    const client = governWith(new Late({ apiKey: "x", baseURL: provider.openAiUrl }), {
      governance,
      agentId,
      sessionId
    })
    const error = await rejection(client.chat.completions.create({ model, messages, max_tokens: 5 }))
    assert.instanceOf(error, OpenAI.PermissionDeniedError)
    assert.strictEqual(provider.requests.length, 0)
    assert.deepStrictEqual(await world.money(), { spent: 0, held: 0 })
  })

  it("is governed in every clone, also with a fetch of the clone's own (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    let own = 0
    const fetch: typeof globalThis.fetch = (input, init) => {
      own++
      return globalThis.fetch(input, init)
    }
    const client = clientOf(world)
    const clone = client.withOptions({ timeout: 5000 }).withOptions({ fetch })
    await clone.chat.completions.create({ model, messages, max_completion_tokens: 50 })
    assert.strictEqual(own, 1)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
    await world.halt()
    assert.isTrue(isHaltError(await rejection(clone.chat.completions.create({ model, messages, max_tokens: 5 }))))
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("of Azure is governed by the same rules (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const { governance, provider } = world
    const azure = new AzureOpenAI({ apiKey: "x", apiVersion: "2026-01-01", endpoint: provider.url, deployment: model })
    const client = governWith(azure, { governance, agentId, sessionId })
    provider.next({ status: 503, retryAfter: 0.01 }, { usage })
    await client.chat.completions.create({ model, messages, max_completion_tokens: 50 })
    assert.match(provider.requests[0]?.path ?? "", /\/deployments\/gpt-4o-mini\/chat\/completions$/)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
    assert.strictEqual((await world.money()).spent, cost)
  })

  it("lets through what is allowed by name, with a note in the log, unless the agent is halted (THR-05)", async () => {
    await using world = await openWorld()
    const client = clientOf(world, { allow: ["POST /batches"] })
    const create = () =>
      client.batches.create({ completion_window: "24h", endpoint: "/v1/chat/completions", input_file_id: "f" })
    await create()
    assert.strictEqual(world.provider.hits("/batches").length, 1)
    assert.deepStrictEqual(await world.kinds(), ["call.ungoverned"])
    await world.halt()
    assert.isTrue(isHaltError(await rejection(create())))
    assert.strictEqual(world.provider.hits("/batches").length, 1)
    const error = await rejection(client.images.generate({ prompt: "a cat" }))
    assert.strictEqual((error as { _tag?: string })._tag, "UngovernedCall")
  })

  it("waits in the rooms as long as it takes, outside the SDK's timers (WRP-02)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = clientOf(world, { governance: slowly(world.governance) }, { timeout: 200, maxRetries: 0 })
    await client.chat.completions.create({ model, messages, max_completion_tokens: 50 })
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("sends what was admitted, whatever the caller does to the request meanwhile (T-06)", async () => {
    await using world = await openWorld()
    const changing = [{ role: "user" as const, content: "harmless" }]
    const estimateInput = () => {
      changing[0] = { role: "user", content: "changed" }
      return 10
    }
    const client = clientOf(world, { estimateInput })
    await client.chat.completions.create({ model, messages: changing, max_tokens: 5 })
    assert.include(world.provider.requests[0]?.text ?? "", "harmless")
    assert.notInclude(world.provider.requests[0]?.text ?? "", "changed")
  })
})
