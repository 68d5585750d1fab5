import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  OpenAIProvider,
  Runner,
  RunState,
  setOpenAIResponsesTransport,
  setTracingDisabled,
  tool
} from "@openai/agents"
import { Effect, Exit } from "effect"
import OpenAI from "openai"
import { z } from "zod"
import { governedFetch } from "../../src/integrations/GovernedFetch.ts"
import { govern, governModel, governTool, governWith } from "../../src/integrations/OpenAiAgents.ts"
import { openAi } from "../../src/integrations/OpenAiProvider.ts"
import { items, record } from "../../src/integrations/Reading.ts"
import { isHaltError } from "../../src/schema/GovernanceError.ts"
import { Routing } from "../../src/services/Routing.ts"
import { Wrappers } from "../../src/services/Wrappers.ts"
import type { FakeReply } from "../../src/testing/FakeProvider.ts"
import { agentId, type FrameworkWorld, openWorld, rejection, sessionId, tagOf, until } from "./FrameworkWorld.ts"

setTracingDisabled(true)

const text = "word ".repeat(60)
const usage = { input: 10, output: 75 }
const exact = 10 * 2_500 + 75 * 10_000
const slow: FakeReply = { text, usage, chunkSize: 5, delayMs: 10 }
const refund = { order: "A-17", usd: "1000.00" }

const who = (world: FrameworkWorld) => ({ governance: world.governance, agentId, sessionId })
const plain = (world: FrameworkWorld, useResponses: boolean, over: object = {}) =>
  new OpenAIProvider({
    openAIClient: new OpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl, maxRetries: 0, ...over }),
    useResponses
  })
const runnerOf = (world: FrameworkWorld, useResponses = false) =>
  new Runner({ modelProvider: governWith(plain(world, useResponses), who(world)) })
const agentOf = (over: object = {}) =>
  new Agent({ name: "Clerk", instructions: "Help.", model: "gpt-4o", modelSettings: { maxTokens: 200 }, ...over })

const all = async (stream: AsyncIterable<unknown>) => {
  for await (const _ of stream);
}

for (const useResponses of [true, false]) {
  const api = useResponses ? "responses" : "chat"

  describe(`A governed model of the agents SDK: ${api}`, () => {
    const settledOnce = async (world: FrameworkWorld) => {
      const spent = await world.spent()
      await until(async () => (await world.kinds()).length === 2)
      assert.strictEqual((await world.kinds())[0], "llm.call")
      assert.lengthOf(world.provider.requests, 1)
      return spent
    }
    const most = 200 * 10_000

    it("charges what the provider reports (WRP-02, CST-11)", async () => {
      await using world = await openWorld({
        script: { text, usage: { input: 100, output: 40, cacheRead: 30, reasoning: 5 } }
      })
      assert.strictEqual((await runnerOf(world, useResponses).run(agentOf(), "Well?")).finalOutput, text)
      assert.strictEqual(await settledOnce(world), 100 * 2_500 + 30 * 1_250 + 40 * 10_000)
    })

    it("a halted agent's run makes no request, and its error comes raw (BEY-05, WRP-02)", async () => {
      await using world = await openWorld()
      await world.halt()
      const error = await rejection(runnerOf(world, useResponses).run(agentOf(), "Well?"))
      assert.strictEqual(record(error)._tag, "AgentHaltedError")
      assert.lengthOf(world.provider.requests, 0)
    })

    it("a run beyond the budget fails raw and is not tried again, whatever the retry policy says (CST-01)", async () => {
      await using world = await openWorld({ budget: { perSessionUsd: "0.000001" } })
      const retry = { maxRetries: 3, policy: () => true, backoff: { initialDelayMs: 1 } }
      const agent = agentOf({ modelSettings: { maxTokens: 200, retry } })
      const error = await rejection(runnerOf(world, useResponses).run(agent, "Well?"))
      assert.strictEqual(record(error)._tag, "BudgetExceeded")
      assert.lengthOf(world.provider.requests, 0)
      assert.deepStrictEqual(await world.kinds(), ["llm.call", "budget.exceeded"])
    })

    it("a halt while the provider works ends the run with the halt and cuts its socket in half a second (BEY-05)", async () => {
      await using world = await openWorld({ script: { hang: true } })
      const failed = rejection(runnerOf(world, useResponses).run(agentOf(), "Well?"))
      await world.provider.arrived(1)
      const from = performance.now()
      await world.halt()
      assert.strictEqual(record(await failed)._tag, "AgentHaltedError")
      await world.provider.closed(0)
      assert.isBelow(performance.now() - from, 500)
      await world.spent()
    })

    it("what the provider refuses costs nothing (CST-11)", async () => {
      await using world = await openWorld({ script: { status: 400 } })
      await rejection(runnerOf(world, useResponses).run(agentOf(), "Well?"))
      assert.strictEqual(await settledOnce(world), 0)
    })

    it("a stream to its end costs what the provider reports (WRP-04)", async () => {
      await using world = await openWorld({ script: { text, usage } })
      const result = await runnerOf(world, useResponses).run(agentOf(), "Well?", { stream: true })
      await all(result)
      assert.strictEqual(result.finalOutput, text)
      assert.strictEqual(await settledOnce(world), exact)
    })

    it("a stream left by break is settled, and its socket is cut (WRP-04)", async () => {
      await using world = await openWorld({ script: slow, leaseDuration: "300 millis" })
      const result = await runnerOf(world, useResponses).run(agentOf(), "Well?", { stream: true })
      let parts = 0
      for await (const _ of result) if (++parts === 6) break
      await world.provider.closed(0)
      const spent = await settledOnce(world)
      assert.isAbove(spent, 0)
      assert.isBelow(spent, 2 * most)
    })

    it("a stream of the model itself that is left by break is settled at once (WRP-04)", async () => {
      await using world = await openWorld({ script: slow })
      const model = await governWith(plain(world, useResponses), who(world)).getModel("gpt-4o")
      const request = { input: "Well?", modelSettings: { maxTokens: 200 }, tools: [], handoffs: [] }
      let parts = 0
      for await (const _ of model.getStreamedResponse({ ...request, outputType: "text", tracing: false })) {
        if (++parts === 6) break
      }
      await world.provider.closed(0)
      assert.isAbove(await settledOnce(world), 0)
    })

    it("a stream that is aborted is settled at once (WRP-04)", async () => {
      await using world = await openWorld({ script: slow })
      const controller = new AbortController()
      const { signal } = controller
      const result = await runnerOf(world, useResponses).run(agentOf(), "Well?", { stream: true, signal })
      let parts = 0
      await (async () => {
        for await (const _ of result) if (++parts === 6) controller.abort()
      })().catch(() => undefined)
      await world.provider.closed(0)
      assert.isAbove(await settledOnce(world), 0)
    })

    it("a stream of a halted agent is cut within half a second and throws the halt (BEY-05)", async () => {
      await using world = await openWorld({ script: { ...slow, delayMs: 20 } })
      const result = await runnerOf(world, useResponses).run(agentOf(), "Well?", { stream: true })
      let [parts, from] = [0, 0]
      const reading = (async () => {
        for await (const _ of result) {
          if (++parts !== 6) continue
          from = performance.now()
          await world.halt()
        }
      })()
      assert.isTrue(isHaltError(await rejection(reading)))
      await world.provider.closed(0)
      assert.isBelow(performance.now() - from, 500)
      await settledOnce(world)
    })

    it("a stream whose socket dies costs what was seen (CST-11)", async () => {
      await using world = await openWorld({ script: { ...slow, delayMs: 2, dieAfterChunks: 12 } })
      const result = await runnerOf(world, useResponses).run(agentOf(), "Well?", { stream: true })
      await rejection(all(result))
      const spent = await settledOnce(world)
      assert.isAbove(spent, 0)
      assert.isBelow(spent, most)
    })

    it("an answer without usage costs all that was declared, in one piece or in a stream (WRP-06)", async () => {
      await using world = await openWorld({ script: { text, usage: null } })
      await runnerOf(world, useResponses).run(agentOf(), "Well?")
      assert.isAtLeast(await world.spent(), most)
      const result = await runnerOf(world, useResponses).run(agentOf(), "Well?", { stream: true })
      await all(result)
      assert.isAtLeast(await world.spent(), 2 * most)
    })

    it("a stream beyond what was declared is cut and costs all that was held (BEY-07)", async () => {
      const long: FakeReply = { text: "word ".repeat(4000), chunkSize: 5, delayMs: 1, ignoreMaxTokens: true }
      await using world = await openWorld({ script: long })
      const agent = agentOf({ modelSettings: { maxTokens: 50 } })
      const result = await runnerOf(world, useResponses).run(agent, "Well?", { stream: true })
      assert.strictEqual(tagOf(await rejection(all(result))), "DeclaredMaximumExceeded")
      await world.provider.closed(0)
      assert.isAtLeast(await settledOnce(world), 50 * 10_000)
    })

    it("a stream that nobody reads is over after a lease (BEY-01)", async () => {
      await using world = await openWorld({ script: slow, leaseDuration: "300 millis" })
      const model = await governWith(plain(world, useResponses), who(world)).getModel("gpt-4o")
      const request = { input: "Well?", modelSettings: { maxTokens: 200 }, tools: [], handoffs: [] }
      const stream = model.getStreamedResponse({ ...request, outputType: "text", tracing: false })
      // One read, and never another: neither `return` nor an error tells the end.
      await stream[Symbol.asyncIterator]().next()
      await world.provider.closed(0)
      await settledOnce(world)
      assert.lengthOf(world.logged("governance.stream.abandoned_without_reconcile"), 1)
    })

    it("a governed fetch below counts nothing twice (WRP-02)", async () => {
      await using world = await openWorld({ script: { text, usage, chunkSize: 5 } })
      const fetch = governedFetch({ ...who(world), provider: openAi, refusal: "respond" })
      const provider = governWith(plain(world, useResponses, { fetch }), who(world))
      const runner = new Runner({ modelProvider: provider })
      const agent = agentOf({ modelSettings: { maxTokens: 76 } })
      await runner.run(agent, "Well?")
      await all(await runner.run(agent, "Well?", { stream: true }))
      assert.strictEqual(await world.spent(), 2 * exact)
      assert.lengthOf(await world.kinds(), 4)
    })

    it("20 runs at once on a budget for 4 are 4 requests (BEY-01)", async () => {
      await using world = await openWorld({
        budget: { perSessionUsd: "0.0175" },
        script: { usage: { input: 10, output: 400 }, delayFirstMs: 100 }
      })
      const runner = runnerOf(world, useResponses)
      const agent = agentOf({ modelSettings: { maxTokens: 400 } })
      const runs = await Promise.allSettled(Array.from({ length: 20 }, () => runner.run(agent, "Well?")))
      assert.strictEqual(runs.filter(({ status }) => status === "fulfilled").length, 4)
      assert.lengthOf(world.provider.requests, 4)
    })
  })
}

describe("A governed provider of the agents SDK", () => {
  it("hides tools and handoffs from the model, and a choice that names one (SCP-06)", async () => {
    await using world = await openWorld({ scope: { hiddenTools: ["wipe", "transfer_to_Boss"] } })
    const make = (name: string) => tool({ name, description: "x", parameters: z.object({}), execute: async () => "ok" })
    const agent = agentOf({
      tools: [make("wipe"), make("look")],
      handoffs: [new Agent({ name: "Boss" })],
      modelSettings: { maxTokens: 10, toolChoice: "wipe" }
    })
    await runnerOf(world).run(agent, "Well?")
    const body = world.provider.requests[0]?.body
    assert.deepStrictEqual(
      items(body?.tools).map((one) => record(one.function).name),
      ["look"]
    )
    assert.isUndefined(body?.tool_choice)
  })

  it("refuses WebSockets, by option and by setOpenAIResponsesTransport (THR-05)", async () => {
    await using world = await openWorld()
    const client = new OpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl })
    const sockets = governWith(new OpenAIProvider({ openAIClient: client, useResponsesWebSocket: true }), who(world))
    assert.strictEqual(tagOf(await rejection(Promise.resolve(sockets.getModel("gpt-4o")))), "UngovernedCall")
    setOpenAIResponsesTransport("websocket")
    try {
      const error = await rejection(runnerOf(world, true).run(agentOf(), "Well?"))
      assert.strictEqual(tagOf(error), "UngovernedCall")
    } finally {
      setOpenAIResponsesTransport("http")
    }
  })

  it("refuses a stored prompt, which brings a model of its own, unless it is allowed (THR-05)", async () => {
    await using world = await openWorld()
    const agent = new Agent({ name: "Clerk", prompt: { promptId: "p1" }, modelSettings: { maxTokens: 10 } })
    const error = await rejection(runnerOf(world, true).run(agent, "Well?"))
    assert.strictEqual(tagOf(error), "UngovernedCall")
    assert.lengthOf(world.provider.requests, 0)
  })

  it("knows the SDK's default model where an agent names none (CST-05)", async () => {
    await using world = await openWorld({ script: { usage } })
    process.env.OPENAI_DEFAULT_MODEL = "gpt-4o"
    try {
      const agent = new Agent({ name: "Clerk", modelSettings: { maxTokens: 200 } })
      await runnerOf(world).run(agent, "Well?")
      assert.strictEqual(await world.spent(), exact)
    } finally {
      delete process.env.OPENAI_DEFAULT_MODEL
    }
  })

  it("is wrapped once, registers itself, and fails for what is no provider (WRP-01, WRP-09)", async () => {
    await using world = await openWorld({ script: { usage } })
    const provider = governWith(plain(world, false), who(world))
    assert.strictEqual(governWith(provider, who(world)), provider)
    assert.lengthOf(world.logged("wrapper.already_governed"), 1)
    assert.isTrue((await world.run(Wrappers.use((w) => Effect.succeed(w.registered())))).has("openai-agents"))
    const none: object = {}
    assert.throws(() => governWith(none as OpenAIProvider, who(world)), /not a provider of models/)
    assert.isTrue(Exit.isFailure(await world.run(Effect.exit(govern(none as OpenAIProvider, { agentId })))))
    const runner = new Runner({ modelProvider: await world.run(govern(plain(world, false), { agentId, sessionId })) })
    await runner.run(agentOf(), "Well?")
    assert.strictEqual(await world.spent(), exact)
  })

  it("goes to the model that routing chose, and is priced so (ROU-02)", async () => {
    await using world = await openWorld({ enableRouting: true, script: { usage } })
    await world.run(
      Routing.use((routing) => routing.register({ agentId, mode: "rules", rules: { "gpt-4o": "gpt-4o-mini" } }))
    )
    await runnerOf(world).run(agentOf(), "Well?")
    await all(await runnerOf(world, true).run(agentOf(), "Well?", { stream: true }))
    assert.deepStrictEqual(
      world.provider.requests.map(({ body }) => body.model),
      ["gpt-4o-mini", "gpt-4o-mini"]
    )
    assert.strictEqual(await world.spent(), 2 * (10 * 150 + 75 * 600))
  })

  it("a model object of an agent's own is governed by its name (WRP-02)", async () => {
    await using world = await openWorld({ script: { usage } })
    const model = governModel(await plain(world, false).getModel("gpt-4o"), "gpt-4o", who(world))
    await new Runner({ modelProvider: plain(world, false) }).run(agentOf({ model }), "Well?")
    assert.strictEqual(await world.spent(), exact)
  })
})

/** A model that asks for the tool once and then says that it is done. */
const asks =
  (args: unknown = refund) =>
  (request: { readonly body: unknown }) =>
    items(record(request.body).messages).some(({ role }) => role === "tool")
      ? { text: "Done." }
      : { toolCalls: [{ name: "refund", arguments: args, id: "call_0" }] }

const openTool = async (options: Parameters<typeof openWorld>[0] = {}, more: object = {}, over: object = {}) => {
  const world = await openWorld({ script: asks(), ...options })
  const ran: Array<unknown> = []
  const own = tool({
    name: "refund",
    description: "Pays back.",
    parameters: z.object({ order: z.string(), usd: z.string() }),
    execute: async (input) => {
      ran.push(input)
      return `refunded ${input.usd}`
    },
    ...over
  })
  const agent = agentOf({ tools: [governTool(own, { ...who(world), ...more })] })
  const runner = runnerOf(world)
  /** From text, as another process would. */
  const resume = async (text: string, how: "approve" | "always" | "nothing" = "approve") => {
    const state = await RunState.fromString(agent, text)
    for (const one of state.getInterruptions()) {
      if (how !== "nothing") state.approve(one, { alwaysApprove: how === "always" })
    }
    return runner.run(agent, state)
  }
  return { world, ran, agent, runner, resume, own }
}

describe("A governed tool of the agents SDK", () => {
  it("runs as a call of its own (THR-07, WRP-02)", async () => {
    const { agent, ran, runner, world } = await openTool()
    await using _ = world
    assert.strictEqual((await runner.run(agent, "Refund it.")).finalOutput, "Done.")
    assert.deepStrictEqual(ran, [refund])
    const kinds = await world.kinds()
    assert.deepStrictEqual(
      kinds.filter((kind) => kind.startsWith("tool")),
      ["tool.call", "tool.result"]
    )
  })

  it("that the agent may not use does not run, and the model hears why (THR-07, SCP-04)", async () => {
    const { agent, ran, runner, world } = await openTool({ scope: { allowedTools: ["look"], allowLlmCalls: true } })
    await using _ = world
    assert.strictEqual((await runner.run(agent, "Refund it.")).finalOutput, "Done.")
    assert.lengthOf(ran, 0)
    assert.include(world.provider.requests.at(-1)?.text, "may not use tool refund")
  })

  it("of an agent that is halted does not run, and the run ends (BEY-05)", async () => {
    const { agent, ran, runner, world } = await openTool()
    await using _ = world
    world.provider.always(async (request) => {
      await world.halt()
      return asks()(request)
    })
    assert.isTrue(isHaltError(await rejection(runner.run(agent, "Refund it."))))
    assert.deepStrictEqual([ran.length, world.provider.requests.length], [0, 1])
  })

  it("that works while its agent is halted is told so, and the run ends (BEY-05)", async () => {
    const reasons: Array<unknown> = []
    const { agent, runner, world } = await openTool(
      {},
      {},
      {
        execute: (_input: unknown, _context: unknown, details: { readonly signal: AbortSignal }) =>
          new Promise((_resolve, reject) => {
            details.signal.addEventListener("abort", () => {
              reasons.push(details.signal.reason)
              reject(new Error("left"))
            })
          })
      }
    )
    await using _ = world
    const failed = rejection(runner.run(agent, "Refund it."))
    await until(async () => (await world.kinds()).includes("tool.call"))
    await world.halt()
    assert.isTrue(isHaltError(await failed))
    assert.deepStrictEqual(reasons.map(tagOf), ["AgentHaltedError"])
    assert.lengthOf(world.provider.requests, 1)
  })

  it("stops the run for a person; resumed three times after the grant it runs once (BEY-02)", async () => {
    const { agent, ran, resume, runner, world } = await openTool({ gated: ["refund"] })
    await using _ = world
    const asked = await runner.run(agent, "Refund it.")
    assert.deepStrictEqual([asked.interruptions.length, ran.length, (await world.cards()).length], [1, 0, 1])
    const state = asked.state.toString()
    await world.grant()
    for (let i = 0; i < 3; i++) assert.strictEqual((await resume(state)).finalOutput, "Done.")
    assert.deepStrictEqual(ran, [refund])
    assert.include(world.provider.requests.at(-1)?.text, "its approval was used by another call")
    assert.lengthOf(await world.cards(), 0)
  })

  it("goes on without the SDK's own approval once a person has granted it here (BEY-02)", async () => {
    const { agent, ran, resume, runner, world } = await openTool({ gated: ["refund"] })
    await using _ = world
    const state = (await runner.run(agent, "Refund it.")).state.toString()
    assert.lengthOf((await resume(state, "nothing")).interruptions, 1)
    await world.grant()
    assert.strictEqual((await resume(state, "nothing")).finalOutput, "Done.")
    assert.deepStrictEqual(ran, [refund])
  })

  for (const how of ["approve", "always"] as const) {
    it(`an approval that only the serialized run knows of runs nothing (${how}) (BEY-03)`, async () => {
      const { agent, ran, resume, runner, world } = await openTool({ gated: ["refund"] })
      await using _ = world
      const state = (await runner.run(agent, "Refund it.")).state.toString()
      const before = world.provider.requests.length
      assert.strictEqual(tagOf(await rejection(resume(state, how))), "ApprovalPending")
      assert.deepStrictEqual([ran.length, world.provider.requests.length, (await world.cards()).length], [0, before, 1])
      await world.grant()
      await resume(state, how)
      assert.deepStrictEqual(ran, [refund])
    })
  }

  it("changed arguments in the serialized run do not run on the grant (BEY-10)", async () => {
    const { agent, ran, resume, runner, world } = await openTool({ gated: ["refund"] })
    await using _ = world
    const state = (await runner.run(agent, "Refund it.")).state.toString()
    await world.grant()
    await rejection(resume(state.replaceAll("1000.00", "9000.00")))
    assert.lengthOf(ran, 0)
  })

  it("what the reviewer put in place of the arguments is what runs (BEY-10)", async () => {
    const { agent, ran, resume, runner, world } = await openTool({ gated: ["refund"] })
    await using _ = world
    const state = (await runner.run(agent, "Refund it.")).state.toString()
    await world.grant({ order: "A-17", usd: "10.00" })
    await resume(state)
    assert.deepStrictEqual(ran, [{ order: "A-17", usd: "10.00" }])
  })

  it("a denial stays one, however often the run is resumed with an approval (BEY-10)", async () => {
    const { agent, ran, resume, runner, world } = await openTool({ gated: ["refund"] })
    await using _ = world
    const state = (await runner.run(agent, "Refund it.")).state.toString()
    await world.deny()
    for (let i = 0; i < 2; i++) await resume(state)
    assert.lengthOf(ran, 0)
    assert.include(world.provider.requests.at(-1)?.text, "a person refused it")
  })

  it("its own needsApproval asks the person of the database (GAT-04)", async () => {
    const needsApproval = async (_: unknown, input: { readonly usd: string }) => Number(input.usd) >= 1000
    const { agent, ran, resume, runner, world } = await openTool({}, {}, { needsApproval })
    await using _ = world
    const state = (await runner.run(agent, "Refund it.")).state.toString()
    assert.strictEqual(tagOf(await rejection(resume(state))), "ApprovalPending")
    assert.lengthOf(await world.cards(), 1)
    await world.grant()
    await resume(state)
    assert.deepStrictEqual(ran, [refund])
    world.provider.always(asks({ ...refund, usd: "999.99" }))
    await runner.run(agent, "Refund it.")
    assert.lengthOf(ran, 2)
  })

  it("with wait it waits where it stands (GAT-03)", async () => {
    const { agent, ran, runner, world } = await openTool({ gated: ["refund"] }, { approval: { wait: true } })
    await using _ = world
    const running = runner.run(agent, "Refund it.")
    await until(async () => (await world.cards()).length === 1)
    assert.lengthOf(ran, 0)
    await world.grant()
    assert.strictEqual((await running).finalOutput, "Done.")
    assert.deepStrictEqual(ran, [refund])
  })

  it("is governed in place and once: the SDK knows its tools by identity (WRP-01)", async () => {
    const { agent, own, ran, runner, world } = await openTool()
    await using _ = world
    assert.strictEqual(governTool(own, who(world)), own)
    assert.lengthOf(world.logged("wrapper.already_governed"), 1)
    await runner.run(agent, "Refund it.")
    assert.lengthOf(ran, 1)
    assert.strictEqual((await world.kinds()).filter((kind) => kind === "tool.call").length, 1)
  })
})
