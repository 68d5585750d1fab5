// A run of OpenAI's agents SDK: its model and its tool are governed, and the interrupted run goes on from its text, as another
// process would. Without OPENAI_API_KEY a model on loopback answers that is none.
import { Agent, OpenAIProvider, Runner, RunState, setTracingDisabled, tool } from "@openai/agents"
import { Console, Effect } from "effect"
import { AgentScope, Cost, Gates, Host, Policies, Presence } from "effect-governance"
import * as Memory from "effect-governance/memory"
import { governTool, governWith } from "effect-governance/openai-agents"
import { FakeProvider } from "effect-governance/testing/FakeProvider"
import OpenAI from "openai"
import { z } from "zod"

// The SDK would send what it does, prompts included, to OpenAI.
setTracingDisabled(true)

const refund = tool({
  name: "refund",
  description: "Pays an order back.",
  parameters: z.object({ order: z.string(), usd: z.string() }),
  execute: async ({ order, usd }) => {
    console.log(`  pays ${usd} back for ${order}`)
    return "paid back"
  }
})

const openClient = Effect.gen(function* () {
  if (process.env.OPENAI_API_KEY) return new OpenAI()
  const call = { name: "refund", arguments: { order: "A-17", usd: "1000.00" }, id: "call_1" }
  const fake = yield* Effect.acquireRelease(
    Effect.promise(() => FakeProvider.start(({ text }) => (asked(text) ? { text: "Done." } : { toolCalls: [call] }))),
    (server) => Effect.promise(() => server.close())
  )
  return new OpenAI({ apiKey: "none", baseURL: fake.openAiUrl })
})
const asked = (request: string) => request.includes("function_call_output")

/** What this program looks at in the result of a run. */
interface Ran {
  readonly finalOutput?: unknown
  readonly interruptions: ReadonlyArray<unknown>
  readonly state: { readonly toString: () => string }
}

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["refund"], allowLlmCalls: true })
  yield* (yield* Cost.Cost).register({ agentId: "clerk", perSessionUsd: 1 })
  yield* (yield* Policies.Policies).register("clerk", "gate", { requireApproval: ["refund"] })
  yield* (yield* Presence.Presence).heartbeat("clerk", { operatorId: "olga@example.org" })

  const who = { governance: yield* Host.make, agentId: "clerk", sessionId: "today" }
  const runner = new Runner({ modelProvider: governWith(new OpenAIProvider({ openAIClient: yield* openClient }), who) })
  const agent = new Agent({
    name: "Clerk",
    model: "gpt-4o-mini",
    modelSettings: { maxTokens: 200 },
    tools: [governTool(refund, who)]
  })

  const first = () => runner.run(agent, "Please pay the 1000 dollars of order A-17 back.")
  const run = (go: () => Promise<Ran>) =>
    Effect.tryPromise({ try: go, catch: (error) => (error instanceof Error ? error : new Error(String(error))) }).pipe(
      Effect.tap((result) =>
        Console.log(result.interruptions.length === 0 ? result.finalOutput : "stopped: a person has to approve")
      ),
      Effect.tapError((error) => Console.log(`refused: ${error.message}`))
    )
  const resume = (text: string) =>
    run(async () => {
      const state = await RunState.fromString(agent, text)
      for (const interruption of state.getInterruptions()) state.approve(interruption)
      return runner.run(agent, state)
    })

  const stopped = yield* run(first)
  const text = stopped.state.toString()

  yield* Console.log("somebody approves it in the saved run:")
  yield* Effect.ignore(resume(text))

  const gates = yield* Gates.Gates
  for (const { gate, token } of yield* gates.list({ agentId: "clerk" })) {
    yield* Console.log(`rita approves: ${gate.kind} ${gate.payload}`)
    yield* gates.grant(token ?? "", { by: "rita@example.org", reason: "I have seen the order" })
  }
  yield* resume(text)
  yield* Console.log("the same saved run again:")
  yield* resume(text)

  yield* (yield* Presence.Presence).halt("clerk", { by: "rita@example.org", reason: "enough for today" })
  yield* Effect.ignore(run(first))
})

Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Memory.layer())))
