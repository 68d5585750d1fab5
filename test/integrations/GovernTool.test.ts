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
})
