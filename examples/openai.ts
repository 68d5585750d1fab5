// A governed OpenAI client. Without OPENAI_API_KEY a provider on loopback answers, which costs nothing.
import { Console, Effect } from "effect"
import { AgentScope, Cost, Presence } from "effect-governance"
import * as Memory from "effect-governance/memory"
import { govern } from "effect-governance/openai"
import { FakeProvider, type FakeScript } from "effect-governance/testing/FakeProvider"
import OpenAI from "openai"

const model = "gpt-4o-mini"
const messages = [{ role: "user" as const, content: "Is my parcel on its way? Answer in one sentence." }]

const openClient = Effect.gen(function* () {
  if (process.env.OPENAI_API_KEY) return new OpenAI()
  const provider = yield* Effect.acquireRelease(
    Effect.promise(() => FakeProvider.start(answer)),
    (it) => Effect.promise(it.close)
  )
  return new OpenAI({ apiKey: "none", baseURL: provider.openAiUrl })
})

/** Asks for the tool where there is one, until it has its result. */
const answer: FakeScript = ({ text }) =>
  text.includes('"tools"') && !text.includes('"role":"tool"')
    ? { toolCalls: [{ name: "track", arguments: { parcel: 7 } }] }
    : { text: "It is.", usage: { input: 20, output: 4 } }

/** What a promise says, or why it was refused. */
const said = (name: string, ask: () => PromiseLike<string | null | undefined>) =>
  Effect.tryPromise({ try: async () => ask(), catch: (error) => error }).pipe(
    Effect.flatMap((text) => Console.log(`${name}: ${text}`)),
    Effect.catch((error) => Console.log(`${name}: refused, ${error instanceof Error ? error.message : error}`))
  )

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["track"], hiddenTools: ["refund"] })
  yield* (yield* Cost.Cost).register({ agentId: "clerk", perAgentUsdDaily: "0.01" })
  const client = yield* govern(yield* openClient, { agentId: "clerk", sessionId: "today" })

  yield* said("a question", async () => {
    const reply = await client.chat.completions.create({ model, messages, max_completion_tokens: 100 })
    return reply.choices[0]?.message.content
  })
  yield* said("a stream", async () => {
    let text = ""
    const stream = await client.chat.completions.create({ model, messages, max_completion_tokens: 100, stream: true })
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? ""
    return text
  })
  yield* said("a tool that runs", () =>
    client.chat.completions
      .runTools({
        ...{ model, messages, max_completion_tokens: 100 },
        tools: [
          {
            type: "function",
            function: {
              name: "track",
              description: "where a parcel is",
              parameters: { type: "object" },
              parse: JSON.parse,
              function: ({ parcel }: { parcel: number }) => {
                console.log(`looks for parcel ${parcel}`)
                return "on its way"
              }
            }
          }
        ]
      })
      .finalContent()
  )
  yield* said("100,000 tokens", async () => {
    const reply = await client.chat.completions.create({ model, messages, max_completion_tokens: 100_000 })
    return reply.choices[0]?.message.content
  })
  yield* said("a batch", async () => {
    const batch = { completion_window: "24h", endpoint: "/v1/chat/completions", input_file_id: "file" } as const
    return (await client.batches.create(batch)).status
  })
  const { state } = yield* (yield* Cost.Cost).snapshot("clerk", "today")
  yield* Console.log(`spent ${Number(state.sessionUsd) / 1e9 < 0.001 ? "less than a tenth of a cent" : "more"}`)
  yield* (yield* Presence.Presence).halt("clerk", { by: "ada@example.org", reason: "enough for today" })
  yield* said("halted", async () => {
    const reply = await client.responses.create({ model, input: "Hello?", max_output_tokens: 100 })
    return reply.output_text
  })
})

Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Memory.layer())))
