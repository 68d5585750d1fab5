import { assert, describe, it } from "@effect/vitest"
import { governTool } from "../../src/integrations/Tool.ts"
import { agentId, openWorld, rejection, sessionId } from "./ClientWorld.ts"
import { tagOf } from "./MethodCases.ts"
import { clientOf, messages, model } from "./openai/Client.ts"

describe("A tool that the program itself executes after a plain create", () => {
  const tools = [{ type: "function" as const, function: { name: "pay", parameters: { type: "object" } } }]

  /** The loop that a program writes by hand. */
  const once = async (world: Awaited<ReturnType<typeof openWorld>>, pay: (input: { usd: number }) => unknown) => {
    const governed = governTool({ governance: world.governance, agentId, sessionId, tool: "pay" }, pay)
    world.provider.next({ toolCalls: [{ name: "pay", arguments: { usd: 5 }, id: "call_1" }] })
    const reply = await clientOf(world).chat.completions.create({ model, messages, max_completion_tokens: 50, tools })
    const [call] = reply.choices[0]?.message.tool_calls ?? []
    if (call?.type !== "function") throw new Error("the fake model did not ask for its tool")
    return governed(JSON.parse(call.function.arguments), { callKey: call.id })
  }

  it("is a governed call through governTool (THR-07)", async () => {
    await using world = await openWorld()
    assert.strictEqual(await once(world, ({ usd }) => `paid ${usd}`), "paid 5")
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result", "tool.call", "tool.result"])
  })

  it("does not run where the agent may not use it (THR-07, SCP-03)", async () => {
    await using world = await openWorld({ scope: { allowedTools: ["look"] } })
    let ran = false
    const error = await rejection(once(world, () => (ran = true)))
    assert.strictEqual(tagOf(error), "ScopeViolation")
    assert.isFalse(ran)
  })

  it("is called without an argument where it was called without one: its default values come about (T-06)", async () => {
    await using world = await openWorld()
    const tool = { governance: world.governance, agentId, sessionId, tool: "pay" }
    const pay = governTool(tool, (usd: number | null = 7) => `paid ${usd}`) as (usd?: number | null) => Promise<string>
    assert.deepStrictEqual([await pay(), await pay(null), await pay(3)], ["paid 7", "paid null", "paid 3"])
  })
})
