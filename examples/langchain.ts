// An agent of LangChain behind every gate: the model by `govern`, its tools by `middleware`. Without OPENAI_API_KEY a model on
// loopback answers that is none.
import { ChatOpenAI } from "@langchain/openai"
import { Console, Effect } from "effect"
import { AgentScope, Cost, Host } from "effect-governance"
import * as LangChain from "effect-governance/langchain"
import * as Memory from "effect-governance/memory"
import { FakeProvider } from "effect-governance/testing/FakeProvider"
import { createAgent, createMiddleware, tool } from "langchain"
import { z } from "zod"

const refund = tool(({ order, usd }) => `refunded ${usd} dollars for ${order}`, {
  name: "refund",
  description: "Pays an order back",
  schema: z.object({ order: z.string(), usd: z.string() })
})
const dropTable = tool(() => "gone", { name: "drop_table", description: "Drops a table", schema: z.object({}) })

const connection = Effect.gen(function* () {
  const apiKey = process.env.OPENAI_API_KEY
  if (apiKey !== undefined) return { apiKey }
  const provider = yield* Effect.acquireRelease(
    Effect.promise(() => FakeProvider.start()),
    (server) => Effect.promise(() => server.close())
  )
  const call = (name: string, input: object) => ({ toolCalls: [{ name, arguments: input }] })
  provider.next(
    call("refund", { order: "A-17", usd: "20.00" }),
    { text: "The order is paid back." },
    call("drop_table", {})
  )
  return { apiKey: "none", configuration: { baseURL: provider.openAiUrl } }
})

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["refund"] })
  yield* (yield* Cost.Cost).register({ agentId: "clerk", perSessionUsd: 1 })

  const who = { governance: yield* Host.make, agentId: "clerk", sessionId: "today" }
  const model = LangChain.governWith(new ChatOpenAI({ model: "gpt-4o", maxTokens: 200, ...(yield* connection) }), who)
  const middleware = [createMiddleware(LangChain.middleware(who))]
  const agent = createAgent({ model, tools: [refund, dropTable], middleware })

  const ask = (content: string) =>
    Effect.tryPromise({
      try: () => agent.invoke({ messages: [{ role: "user", content }] }),
      catch: (error) => (error instanceof Error ? error : new Error(String(error)))
    }).pipe(
      Effect.flatMap(({ messages }) => Console.log(messages.at(-1)?.content)),
      Effect.catch((error) => Console.log(error.message))
    )
  yield* ask("Please pay order A-17 back.")
  yield* ask("Please drop the table of orders.")
})

Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Memory.layer())))
