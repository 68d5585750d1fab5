import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { Contracts } from "../../../src/services/Contracts.ts"
import { Gates } from "../../../src/services/Gates.ts"
import { Policies } from "../../../src/services/Policies.ts"
import { Presence } from "../../../src/services/Presence.ts"
import { type ClientWorld, openWorld, rejection, until } from "../ClientWorld.ts"
import { tagOf } from "../MethodCases.ts"
import { clientOf, messages, model } from "./Client.ts"

const usage = { input: 10, output: 7 }
const body = { model, messages, max_completion_tokens: 50 }

const paying = () => {
  const paid: Array<unknown> = []
  const parameters = { type: "object", properties: { usd: { type: "number" } } } as const
  const pay = {
    type: "function" as const,
    function: {
      name: "pay",
      description: "pays",
      parameters,
      parse: (text: string): { usd: number } => {
        const value = JSON.parse(text)
        if (typeof value.usd !== "number") throw new Error("usd must be a number")
        return value
      },
      function: ({ usd }: { usd: number }) => {
        paid.push(usd)
        return `paid ${usd}`
      }
    }
  }
  const raw = {
    type: "function" as const,
    function: {
      name: "note",
      description: "notes",
      parameters,
      function: (text: string) => {
        paid.push(text)
        return "noted"
      }
    }
  }
  return { paid, pay, raw }
}

const decide = (world: ClientWorld, how: (token: string) => Effect.Effect<unknown, unknown, Gates>) =>
  until(() =>
    world.run(
      Effect.gen(function* () {
        const [card] = yield* (yield* Gates).list()
        if (card === undefined) return false
        yield* how(card.token ?? "")
        return true
      })
    )
  )

const gated = (world: ClientWorld) =>
  world.run(
    Effect.gen(function* () {
      yield* (yield* Presence).heartbeat("clerk", { operatorId: "olga" })
      yield* (yield* Policies).register("clerk", "gate", { requireApproval: ["pay"], reviewers: ["rita"] })
    })
  )

describe("OpenAI's tools", () => {
  const tool = (name: string) => ({ type: "function" as const, function: { name, parameters: { type: "object" } } })

  it("that are hidden never reach the provider, by any API (SCP-06)", async () => {
    await using world = await openWorld({ scope: { hiddenTools: ["pay"] } })
    const client = clientOf(world)
    await client.chat.completions.create({ ...body, tools: [tool("pay"), tool("look")] })
    await client.chat.completions.create({ ...body, tools: [tool("pay")], tool_choice: "required" })
    await client.responses.create({
      ...{ model, input: "x", max_output_tokens: 20 },
      tools: [{ type: "function", name: "pay", parameters: {}, strict: false }]
    })
    for await (const _ of client.chat.completions.stream({ ...body, tools: [tool("pay"), tool("look")] }));
    for (const request of world.provider.requests) assert.notInclude(request.text, "pay")
    assert.include(world.provider.requests[0]?.text ?? "", "look")
    assert.notInclude(world.provider.requests[1]?.text ?? "", "tool_choice")
  })

  it("that runTools executes are governed calls with the model's id (THR-07, WRP-02)", async () => {
    await using world = await openWorld()
    const toolCalls = [
      { name: "pay", arguments: { usd: 5 } },
      { name: "pay", arguments: { usd: 5 } },
      { name: "note", arguments: { usd: 6 } }
    ]
    world.provider.next({ usage, toolCalls }, { usage, text: "Done." })
    const { paid, pay, raw } = paying()
    const runner = clientOf(world).chat.completions.runTools({ ...body, tools: [pay, raw] })
    assert.strictEqual(await runner.finalContent(), "Done.")
    assert.deepStrictEqual([...paid].sort(), [5, 5, '{"usd":6}'])
    const kinds = await world.kinds()
    assert.strictEqual(kinds.filter((kind) => kind === "tool.call").length, 3)
    assert.strictEqual(kinds.filter((kind) => kind === "llm.result").length, 2)
    assert.include(world.provider.requests[1]?.text ?? "", "paid 5")
  })

  it("that a streaming runTools executes are governed alike (THR-07)", async () => {
    await using world = await openWorld()
    world.provider.next({ usage, toolCalls: [{ name: "pay", arguments: { usd: 5 } }] }, { usage })
    const { paid, pay } = paying()
    await clientOf(world)
      .chat.completions.runTools({ ...body, stream: true, tools: [pay] })
      .done()
    assert.deepStrictEqual(paid, [5])
    assert.deepStrictEqual(await world.kinds(), [
      ...["llm.call", "llm.result"],
      ...["tool.call", "tool.result"],
      ...["llm.call", "llm.result"]
    ])
  })

  it("that the agent may not use do not run, and the refusal is found (THR-07, SCP-03)", async () => {
    await using world = await openWorld({ scope: { allowedTools: ["note"] } })
    world.provider.next({ usage, toolCalls: [{ name: "pay", arguments: { usd: 5 } }] })
    const { paid, pay } = paying()
    const error = await rejection(
      clientOf(world)
        .chat.completions.runTools({ ...body, tools: [pay] })
        .done()
    )
    assert.isTrue(isGovernanceError(error))
    assert.strictEqual(tagOf(error), "ScopeViolation")
    assert.deepStrictEqual(paid, [])
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("whose arguments cannot be parsed go back to the model, as without governance (THR-07)", async () => {
    await using world = await openWorld()
    world.provider.next({ usage, toolCalls: [{ name: "pay", arguments: { usd: "five" } }] }, { usage })
    const { paid, pay } = paying()
    await clientOf(world)
      .chat.completions.runTools({ ...body, tools: [pay] })
      .done()
    assert.deepStrictEqual(paid, [])
    assert.include(world.provider.requests[1]?.text ?? "", "usd must be a number")
    assert.notInclude(await world.kinds(), "tool.call")
  })

  it("wait for a person, who may change the arguments, while no timer of the SDK runs (BEY-02, BEY-10)", async () => {
    await using world = await openWorld()
    await gated(world)
    world.provider.next({ usage, toolCalls: [{ name: "pay", arguments: { usd: 500 } }] }, { usage })
    const { paid, pay } = paying()
    const client = clientOf(world, {}, { timeout: 150 })
    const run = client.chat.completions.runTools({ ...body, tools: [pay] }).done()
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.deepStrictEqual(paid, [])
    await decide(world, (token) => Gates.use((gates) => gates.grant(token, { by: "rita", arguments: { usd: 50 } })))
    await run
    assert.deepStrictEqual(paid, [50])
    assert.include(world.provider.requests[1]?.text ?? "", "paid 50")
  })

  it("find their approval again when the same run is repeated, and run once (BEY-02)", async () => {
    await using world = await openWorld()
    await gated(world)
    const toolCalls = [{ name: "pay", arguments: { usd: 5 }, id: "call_same" }]
    const { paid, pay } = paying()
    const run = () =>
      clientOf(world, { approval: { wait: false } })
        .chat.completions.runTools({ ...body, tools: [pay] })
        .done()
    world.provider.next({ usage, toolCalls })
    assert.strictEqual(tagOf(await rejection(run())), "ApprovalPending")
    await decide(world, (token) => Gates.use((gates) => gates.grant(token, { by: "rita" })))
    world.provider.next({ usage, toolCalls }, { usage })
    await run()
    assert.deepStrictEqual(paid, [5])
    world.provider.next({ usage, toolCalls })
    await rejection(run())
    assert.deepStrictEqual(paid, [5])
  })

  it("that the model uses twice with the same arguments are two requests for approval (BEY-02)", async () => {
    await using world = await openWorld()
    await gated(world)
    const toolCalls = [
      { name: "pay", arguments: { usd: 5 }, id: "call_one" },
      { name: "pay", arguments: { usd: 5 }, id: "call_two" }
    ]
    world.provider.next({ usage, toolCalls })
    const { paid, pay } = paying()
    const client = clientOf(world, { approval: { wait: false } })
    await rejection(client.chat.completions.runTools({ ...body, tools: [pay] }).done())
    const cards = await world.run(Gates.use((gates) => gates.list()))
    assert.strictEqual(cards.length, 2)
    assert.deepStrictEqual(paid, [])
  })

  it("whose result breaks its contract end the run, and the model never sees it (CON-03)", async () => {
    await using world = await openWorld()
    await world.run(
      Effect.gen(function* () {
        const contracts = yield* Contracts
        yield* contracts.registerCheck("never", () => Effect.succeed(false))
        const post = [{ check: "custom" as const, message: "never", params: { name: "never" } }]
        yield* contracts.register({ agentId: "clerk", tool: "pay", pre: [], post })
      })
    )
    world.provider.next({ usage, toolCalls: [{ name: "pay", arguments: { usd: 5 } }] })
    const { paid, pay } = paying()
    const error = await rejection(
      clientOf(world)
        .chat.completions.runTools({ ...body, tools: [pay] })
        .done()
    )
    assert.strictEqual(tagOf(error), "ContractViolation")
    assert.deepStrictEqual(paid, [5])
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("end with the run when the agent is halted inside one (BEY-05)", async () => {
    await using world = await openWorld()
    world.provider.next({ usage, toolCalls: [{ name: "pay", arguments: { usd: 5 } }] })
    const { pay } = paying()
    const halting = { ...pay, function: { ...pay.function, function: () => world.halt().then(() => "paid") } }
    const error = await rejection(
      clientOf(world)
        .chat.completions.runTools({ ...body, tools: [halting] })
        .done()
    )
    assert.isTrue(isHaltError(error))
    assert.strictEqual(world.provider.requests.length, 1)
  })
})
