import { createOpenAI } from "@ai-sdk/openai"
import { assert, describe, it } from "@effect/vitest"
import { generateText } from "ai"
import OpenAI from "openai"
import * as AiSdk from "../../src/integrations/AiSdk.ts"
import { governWith } from "../../src/integrations/OpenAi.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Presence } from "../../src/services/Presence.ts"
import { agentId, type ClientWorld, openWorld, rejection, sessionId } from "./ClientWorld.ts"

const body = { model: "gpt-4o-mini", max_completion_tokens: 50, messages: [{ role: "user" as const, content: "Hi" }] }
const cost = 10 * 150 + 7 * 600

const clientOf = (
  { governance, provider }: ClientWorld,
  agent: string,
  session: string,
  fetch?: typeof globalThis.fetch
) =>
  governWith(
    new OpenAI({
      apiKey: "none",
      baseURL: provider.openAiUrl,
      maxRetries: 0,
      ...(fetch === undefined ? {} : { fetch })
    }),
    { governance, agentId: agent, sessionId: session }
  )

/** A fetch that asks somebody else before it sends. */
const guarding =
  (ask: () => Promise<unknown>): typeof globalThis.fetch =>
  async (input, init) => {
    await ask()
    return fetch(input, init)
  }

const withGuard = async () => {
  const world = await openWorld({ script: { usage: { input: 10, output: 7 } } })
  await world.run(AgentScope.use((scope) => scope.register({ agentId: "guard", allowedTools: ["*"] })))
  await world.run(Cost.use((budgets) => budgets.register({ agentId: "guard", perSessionUsd: 10 })))
  const spentBy = (agent: string, session: string) =>
    world.run(Cost.use((budgets) => budgets.snapshot(agent, session))).then(({ state }) => Number(state.sessionUsd))
  return { world, spentBy }
}

describe("A governed client that another one's fetch asks (THR-11)", () => {
  it("makes calls of its own, for the same agent and for another (WRP-02, CST-11)", async () => {
    const { spentBy, world } = await withGuard()
    await using _ = world
    for (const agent of [agentId, "guard"]) {
      const guard = clientOf(world, agent, "guarding")
      const client = clientOf(
        world,
        agentId,
        agent,
        guarding(() => guard.chat.completions.create(body))
      )
      await client.chat.completions.create(body)
      assert.strictEqual(await spentBy(agent, "guarding"), cost)
      assert.strictEqual(await spentBy(agentId, agent), cost)
    }
  })

  it("is refused there when its agent is halted (BEY-05)", async () => {
    const { world } = await withGuard()
    await using _ = world
    await world.run(Presence.use((presence) => presence.halt("guard", { by: "ada", reason: "stop" })))
    const guard = clientOf(world, "guard", "guarding")
    let refusal: unknown
    const ask = async () => {
      refusal = await rejection(guard.chat.completions.create(body))
    }
    await clientOf(world, agentId, sessionId, guarding(ask)).chat.completions.create(body)
    assert.propertyVal(refusal, "_tag", "AgentHaltedError")
    assert.lengthOf(world.provider.requests, 1)
  })

  it("of another agent's does not join the call of a framework above it (WRP-02)", async () => {
    const { spentBy, world } = await withGuard()
    await using _ = world
    const guard = clientOf(world, "guard", "guarding")
    const provider = createOpenAI({
      apiKey: "none",
      baseURL: world.provider.openAiUrl,
      fetch: guarding(() => guard.chat.completions.create(body))
    })
    const model = AiSdk.governWith(provider.chat("gpt-4o-mini"), { governance: world.governance, agentId, sessionId })
    await generateText({ model, prompt: "Hi", maxOutputTokens: 50 })
    assert.strictEqual(await spentBy("guard", "guarding"), cost)
    assert.strictEqual(await world.spent(), cost)
  })
})
