import Anthropic, { type Middleware } from "@anthropic-ai/sdk"
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { govern, governWith } from "../../../src/integrations/Anthropic.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { Wrappers } from "../../../src/services/Wrappers.ts"
import { agentId, openWorld, rejection, sessionId, slowly } from "../ClientWorld.ts"
import { tagOf } from "../MethodCases.ts"
import { clientOf, messages, model, price } from "./Client.ts"

const usage = { input: 10, output: 7 }
const cost = 10 * price.input + 7 * price.output
const body = { model, messages, max_tokens: 50 }

describe("A governed Anthropic client", () => {
  it("is the same object, registers itself, and charges what the provider reports (WRP-01, WRP-02, WRP-09)", async () => {
    await using world = await openWorld({ script: { usage, text: "Fine." } })
    const client = new Anthropic({ apiKey: "sk-test", baseURL: world.provider.url })
    const { governance } = world
    assert.strictEqual(governWith(client, { governance, agentId, sessionId }), client)
    assert.strictEqual(governWith(client, { governance, agentId, sessionId }), client)
    assert.strictEqual(world.logged("wrapper.already_governed").length, 1)
    const reply = await client.messages.create(body)
    assert.strictEqual(reply.content[0]?.type, "text")
    assert.deepStrictEqual(await world.money(), { spent: cost, held: 0 })
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
    assert.deepStrictEqual(await world.run(Wrappers.use((wrappers) => Effect.succeed(wrappers.registrations()))), [
      { name: "anthropic", sdkVersion: "1.12.0", clients: 1 }
    ])
  })

  it("counts what was read from and written to the cache at its own price (CST-11)", async () => {
    const cached = { input: 10, output: 7, cacheRead: 100, cacheWrite: 20, cacheWrite1h: 4 }
    await using world = await openWorld({ script: { usage: cached } })
    await clientOf(world).messages.create(body)
    const expected = cost + 100 * 100 + 20 * 1250 + 4 * 2000
    assert.strictEqual((await world.money()).spent, expected)
    for await (const _ of await clientOf(world).messages.create({ ...body, stream: true }));
    assert.strictEqual(await world.spent(), 2 * expected)
  })

  it("takes the last word of a cumulative usage, never the sum (CST-11)", async () => {
    await using world = await openWorld({ script: { usage: { input: 10, output: 30 }, usageDeltas: 5 } })
    await clientOf(world).messages.stream(body).finalMessage()
    assert.strictEqual(await world.spent(), 10 * price.input + 30 * price.output)
  })

  it("is governed in an Effect program, and refuses a client of another SDK (ENT-16, ENT-18)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = new Anthropic({ apiKey: "sk-test", baseURL: world.provider.url })
    await world.run(govern(client, { agentId, sessionId }))
    await client.messages.create(body)
    assert.strictEqual((await world.money()).spent, cost)
    const old = new Anthropic({ apiKey: "x" })
    Object.assign(old, { getUserAgent: () => "Anthropic/JS 0.71.2" })
    const failed = await world.run(Effect.flip(govern(old, { agentId })))
    assert.include(failed.message, "@anthropic-ai/sdk: the client is of version 0.71.2")
  })

  it("a halted agent's call never reaches the provider, and the error is raw (WRP-02, BEY-05)", async () => {
    await using world = await openWorld()
    const client = clientOf(world)
    await world.halt()
    const from = performance.now()
    for (const call of [
      () => client.messages.create(body),
      () => client.messages.create({ ...body, stream: true }),
      () => client.messages.create(body).withResponse(),
      () => client.beta.messages.create(body),
      () => client.post("/v1/messages", { body })
    ])
      assert.strictEqual(((await rejection(call())) as { _tag?: string })._tag, "AgentHaltedError")
    assert.isTrue(isHaltError(await rejection(client.messages.stream(body).finalMessage())))
    // No SDK retry came in between: each of those waits half a second.
    assert.isBelow(performance.now() - from, 1500)
    assert.strictEqual(world.provider.requests.length, 0)
  })

  it("refusals inside helper streams are found along their causes (ERR-01)", async () => {
    await using world = await openWorld({ budget: { perSessionUsd: 0 } })
    const error = await rejection(clientOf(world).messages.stream(body).finalMessage())
    assert.isTrue(isGovernanceError(error))
    assert.strictEqual(world.provider.requests.length, 0)
  })

  it("takes one ticket for a call that the SDK tries three times, also where tools are hidden (BEY-01, SCP-06)", async () => {
    await using world = await openWorld({ scope: { hiddenTools: ["pay"] } })
    world.provider.next({ status: 503, retryAfter: 0.01 }, { status: 529, retryAfter: 0.01 }, { usage })
    const tools = ["pay", "look"].map((name) => ({ name, input_schema: { type: "object" as const } }))
    await clientOf(world).messages.create({ ...body, tools })
    assert.strictEqual(world.provider.requests.length, 3)
    for (const request of world.provider.requests) assert.notInclude(request.text, "pay")
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
    assert.deepStrictEqual(await world.money(), { spent: cost, held: 0 })
  })

  it("charges the declared maximum where an attempt's answer was lost, though the next one came (CST-11)", async () => {
    await using world = await openWorld()
    world.provider.next({ dieAfterChunks: 0 }, { usage })
    await clientOf(world).messages.create(body)
    assert.strictEqual(world.provider.requests.length, 2)
    assert.isAtLeast(await world.spent(), 50 * price.output)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
  })

  it("holds its halt while the SDK waits for its next attempt (BEY-05)", async () => {
    await using world = await openWorld({ script: { status: 503, retryAfter: 30 } })
    const call = rejection(clientOf(world).messages.create(body))
    await world.provider.arrived(1)
    const from = performance.now()
    await world.halt()
    assert.isTrue(isHaltError(await call))
    assert.isBelow(performance.now() - from, 500)
  })

  it("stays governed without its middleware: in clones, in single calls, on the client (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = clientOf(world)
    await client.withOptions({ middleware: [] }).messages.create(body)
    await client.withOptions({ fetch: globalThis.fetch }).messages.create(body)
    await client.messages.create(body, { middleware: [(request, next) => next(request)] })
    client.middleware = []
    await client.messages.create(body)
    assert.strictEqual((await world.kinds()).length, 8)
    assert.strictEqual(await world.spent(), 4 * cost)
    await world.halt()
    await rejection(client.messages.create(body))
    assert.isTrue(isHaltError(await rejection(client.withOptions({ middleware: [] }).messages.create(body))))
    assert.strictEqual(world.provider.requests.length, 4)
  })

  it("admits each request that the caller's own middleware makes of one call (WRP-01)", async () => {
    const another: Middleware = async (request, next) => {
      await (await next(request)).text()
      return next({ ...request, body: String(request.body).replace(model, "claude-sonnet-4-5") })
    }
    const again: Middleware = async (request, next) => {
      await (await next(request)).text()
      return next(request)
    }
    for (const middleware of [[another], [again]]) {
      await using world = await openWorld({ script: { usage } })
      await clientOf(world, {}, { middleware }).messages.create(body)
      assert.strictEqual(world.provider.requests.length, 2)
      assert.strictEqual((await world.kinds()).length, 4)
      assert.strictEqual((await world.money()).held, 0)
    }
    await using world = await openWorld({ scope: { allowedModels: [model] } })
    const error = await rejection(clientOf(world, {}, { middleware: [another] }).messages.create(body))
    assert.strictEqual(tagOf(error), "ScopeViolation")
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("waits in the rooms as long as it takes, outside the SDK's timers (WRP-02)", async () => {
    await using world = await openWorld({ script: { usage } })
    const governance = slowly(world.governance)
    await clientOf(world, { governance }, { timeout: 200, maxRetries: 0 }).messages.create(body)
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("counts tokens for nothing and refuses batches (THR-05)", async () => {
    await using world = await openWorld()
    const client = clientOf(world)
    assert.strictEqual((await client.messages.countTokens({ model, messages })).input_tokens, 10)
    assert.strictEqual(tagOf(await rejection(client.messages.batches.create({ requests: [] }))), "UngovernedCall")
    assert.deepStrictEqual(await world.kinds(), ["call.ungoverned"])
  })
})

describe("Anthropic's tool runner", () => {
  const toolCalls = [{ name: "pay", arguments: { usd: 5 }, id: "toolu_1" }]

  const paying = () => {
    const paid: Array<unknown> = []
    const pay = betaTool({
      name: "pay",
      description: "pays",
      inputSchema: { type: "object", properties: { usd: { type: "number" } }, required: ["usd"] },
      run: (input, context) => {
        paid.push({ ...input, id: context?.toolUse.id })
        return "paid"
      }
    })
    return { paid, pay }
  }

  it("runs its tools as governed calls (THR-07, WRP-02)", async () => {
    await using world = await openWorld({ script: { usage } })
    world.provider.next({ usage, toolCalls }, { usage })
    const { paid, pay } = paying()
    await clientOf(world)
      .beta.messages.toolRunner({ ...body, tools: [pay] })
      .runUntilDone()
    assert.deepStrictEqual(paid, [{ usd: 5, id: "toolu_1" }])
    assert.deepStrictEqual(await world.kinds(), [
      ...["llm.call", "llm.result"],
      ...["tool.call", "tool.result"],
      ...["llm.call", "llm.result"]
    ])
    assert.include(world.provider.requests[1]?.text ?? "", "paid")
  })

  it("does not run what the agent may not use: the model reads the refusal (THR-07, SCP-03)", async () => {
    await using world = await openWorld({ scope: { allowedTools: ["look"] } })
    world.provider.next({ usage, toolCalls }, { usage })
    const { paid, pay } = paying()
    await clientOf(world)
      .beta.messages.toolRunner({ ...body, tools: [pay] })
      .runUntilDone()
    assert.deepStrictEqual(paid, [])
    assert.include(world.provider.requests[1]?.text ?? "", "is_error")
  })

  it("stops at the next request when the agent is halted inside a tool (BEY-05)", async () => {
    await using world = await openWorld()
    world.provider.next({ usage, toolCalls })
    const pay = betaTool({
      name: "pay",
      description: "pays",
      inputSchema: { type: "object" },
      run: async () => {
        await world.halt()
        return "paid"
      }
    })
    const error = await rejection(
      clientOf(world)
        .beta.messages.toolRunner({ ...body, tools: [pay] })
        .runUntilDone()
    )
    assert.isTrue(isHaltError(error))
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("runs the members of a toolset as tools by their own names (THR-07, SCP-03)", async () => {
    await using world = await openWorld({ scope: { allowedTools: ["screenshot"] } })
    const asks = (name: string) => ({
      body: {
        ...{ id: "msg_1", type: "message", role: "assistant", model, stop_reason: "tool_use", stop_sequence: null },
        content: [{ type: "tool_use", id: `toolu_${name}`, name, toolset_name: "browser", input: { url: "x" } }],
        usage: { input_tokens: 10, output_tokens: 7 }
      }
    })
    world.provider.next(asks("navigate"), asks("screenshot"), { usage })
    const ran: Array<unknown> = []
    const browser = {
      type: "browser_toolset_20260801" as const,
      run: (_: unknown, toolUse: { readonly name: string; readonly input: unknown }) => {
        ran.push([toolUse.name, toolUse.input])
        return [{ type: "text" as const, text: "seen" }]
      }
    }
    // Only what the runner uses of a toolset is here.
    const tools = [browser] as unknown as Parameters<Anthropic["beta"]["messages"]["toolRunner"]>[0]["tools"]
    await clientOf(world)
      .beta.messages.toolRunner({ ...body, tools })
      .runUntilDone()
    assert.deepStrictEqual(ran, [["screenshot", { url: "x" }]])
    assert.include(world.provider.requests[1]?.text ?? "", "is_error")
    assert.include(world.provider.requests[0]?.text ?? "", "browser_toolset_20260801")
  })

  it("has its threads governed like any other call (WRP-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const thread = clientOf(world).beta.messages.thread({ model, max_tokens: 50 })
    await thread.send({ role: "user", content: "Hello" })
    await thread.send({ role: "user", content: "Again" })
    assert.strictEqual(await world.spent(), 2 * cost)
  })
})
