// A governed Anthropic client. Without ANTHROPIC_API_KEY a provider on loopback answers, which costs nothing.
import Anthropic from "@anthropic-ai/sdk"
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema"
import { Console, Effect } from "effect"
import { AgentScope, Cost, Presence } from "effect-governance"
import { govern } from "effect-governance/anthropic"
import * as Memory from "effect-governance/memory"
import { FakeProvider } from "effect-governance/testing/FakeProvider"

const model = "claude-haiku-4-5"
const messages = [{ role: "user" as const, content: "Pay 20 dollars to Ada, then tell me how it went." }]

const openClient = Effect.gen(function* () {
  if (process.env.ANTHROPIC_API_KEY) return new Anthropic()
  const provider = yield* Effect.acquireRelease(
    Effect.promise(() => FakeProvider.start({ text: "It is done.", usage: { input: 20, output: 4 } })),
    (it) => Effect.promise(it.close)
  )
  provider.next({ toolCalls: [{ name: "pay", arguments: { usd: 20 } }] })
  return new Anthropic({ apiKey: "none", baseURL: provider.url })
})

const pay = betaTool({
  name: "pay",
  description: "pays somebody",
  inputSchema: { type: "object", properties: { usd: { type: "number" } }, required: ["usd"] },
  run: ({ usd }) => {
    console.log(`paid ${usd}`)
    return "paid"
  }
})

/** What a promise says, or why it was refused. */
const said = (name: string, ask: () => PromiseLike<Anthropic.Beta.BetaMessage | Anthropic.Message>) =>
  Effect.tryPromise({ try: async () => ask(), catch: (error) => error }).pipe(
    Effect.flatMap(({ content }) =>
      Console.log(`${name}: ${content.map((block) => (block.type === "text" ? block.text : block.type))}`)
    ),
    Effect.catch((error) => Console.log(`${name}: refused, ${error instanceof Error ? error.message : error}`))
  )

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["pay"] })
  yield* (yield* Cost.Cost).register({ agentId: "clerk", perAgentUsdDaily: "0.05" })
  const client = yield* govern(yield* openClient, { agentId: "clerk", sessionId: "today" })
  const body = { model, messages, max_tokens: 100 }

  yield* said("a run with a tool", () => client.beta.messages.toolRunner({ ...body, tools: [pay] }).runUntilDone())
  yield* said("a stream", () => client.messages.stream(body).finalMessage())
  yield* said("60,000 tokens", () => client.messages.create({ ...body, max_tokens: 60_000 }, { timeout: 60_000 }))
  yield* (yield* Presence.Presence).halt("clerk", { by: "ada@example.org", reason: "enough for today" })
  yield* said("halted", () => client.messages.create(body))
})

Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Memory.layer())))
