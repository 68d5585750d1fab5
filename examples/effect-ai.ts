// A governed agent on effect/ai: model, tools, and a person in between. Without OPENAI_API_KEY a provider on loopback answers, which
// costs nothing.
import { Console, Effect, Fiber, Layer, Redacted, Schedule, Schema, Stream } from "effect"
import { LanguageModel, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { AgentScope, Cost, Gates, Presence } from "effect-governance"
import * as Governed from "effect-governance/ai"
import * as Memory from "effect-governance/memory"
import { FakeProvider, type FakeScript } from "effect-governance/testing/FakeProvider"
import * as OpenAiCompatible from "effect-governance/testing/OpenAiCompatible"

const who = { agentId: "clerk", sessionId: "today" }
const refund = { parameters: Schema.Struct({ order: Schema.String, usd: Schema.Finite }), success: Schema.String }
const Tools = Toolkit.make(
  Tool.make("lookup", { parameters: Schema.Struct({ order: Schema.String }), success: Schema.String }),
  Tool.make("refund", { ...refund, needsApproval: ({ usd }) => usd >= 1000 }),
  Tool.make("wipe", { success: Schema.String })
)

/** What the fake provider answers: a call of the tool that the question names. */
const answer: FakeScript = ({ text }) => {
  if (text.includes("look up")) return { toolCalls: [{ name: "lookup", arguments: { order: "A-17" } }] }
  if (text.includes("refund 1200")) return { toolCalls: [{ name: "refund", arguments: { order: "A-17", usd: 1200 } }] }
  if (text.includes("wipe it")) return { toolCalls: [{ name: "wipe", arguments: {} }] }
  return { text: "It is on its way.", usage: { input: 20, output: 6 } }
}

const Provider = Layer.unwrap(
  Effect.gen(function* () {
    const key = process.env.OPENAI_API_KEY
    const model = { model: "gpt-4o-mini", maxTokens: 100 }
    if (key) return OpenAiCompatible.layer({ url: "https://api.openai.com/v1", apiKey: Redacted.make(key), ...model })
    const fake = yield* Effect.acquireRelease(
      Effect.promise(() => FakeProvider.start(answer)),
      (provider) => Effect.promise(provider.close)
    )
    return OpenAiCompatible.layer({ url: fake.openAiUrl, ...model })
  })
).pipe(Layer.provide(FetchHttpClient.layer))

// The two lines that govern: one around the model, one around the tools.
const Model = Governed.LanguageModel.layer({ ...who, maxOutputTokens: 100 }).pipe(Layer.provide(Provider))
const Handlers = Tools.toLayer({
  lookup: ({ order }) => Effect.succeed(`${order} is in the van`),
  refund: ({ order, usd }) => Effect.succeed(`refunded ${usd} for ${order}`),
  wipe: () => Effect.succeed("wiped")
}).pipe(Governed.Toolkit.govern(Tools, who))

const ask = (prompt: string) =>
  LanguageModel.generateText({ prompt, toolkit: Tools }).pipe(
    Governed.refusals,
    Effect.map(({ text, toolResults }) => toolResults.map(({ result }) => result)[0] ?? text),
    Effect.catchTag(["ScopeViolation", "BudgetExceeded"], (error) => Effect.succeed(`refused: ${error.message}`)),
    Effect.flatMap((said) => Console.log(`${prompt}: ${said}`))
  )

/** Elsewhere this is `governance grant`, from any terminal on the same database. */
const colleague = Effect.gen(function* () {
  const gates = yield* Gates.Gates
  const [card] = yield* Effect.repeat(gates.list(), {
    until: (cards) => cards.length > 0,
    schedule: Schedule.spaced("20 millis")
  })
  yield* Console.log(`rita approves: ${card?.gate.kind} ${card?.gate.payload}`)
  yield* gates.grant(card?.token ?? "", { by: "rita@example.org" })
})

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["lookup", "refund"] })
  yield* (yield* Cost.Cost).register({ agentId: "clerk", perAgentUsdDaily: "0.01" })
  yield* (yield* Presence.Presence).heartbeat("clerk", { operatorId: "olga@example.org" })

  yield* ask("where is my parcel")
  yield* Stream.runForEach(LanguageModel.streamText({ prompt: "tell me again" }), (part) =>
    part.type === "text-end" ? Console.log("tell me again: streamed") : Effect.void
  )
  yield* ask("look up A-17")
  yield* ask("wipe it")
  const waiting = yield* Effect.forkChild(ask("refund 1200"))
  yield* colleague
  yield* Fiber.join(waiting)
  const { state } = yield* (yield* Cost.Cost).snapshot("clerk", "today")
  yield* Console.log(`spent $${(Number(state.sessionUsd) / 1e9).toFixed(6)}`)
})

Effect.runPromise(
  program.pipe(Effect.provide(Layer.mergeAll(Model, Handlers).pipe(Layer.provideMerge(Memory.layer()))))
)
