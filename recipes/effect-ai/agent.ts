// A support agent that gives money back. Every refund passes three gates before it is paid, in this order: may this agent do
// that at all (scope), is there money left for it (cost), and from 1000.00 on, does a person agree (approval). They stand in
// the tool itself, so they hold whatever model or prompt comes to call it.
import assert from "node:assert/strict"
import { Config, Console, Effect, Fiber, Layer, type Redacted, Schedule, Schema } from "effect"
import { Chat, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { AgentScope, Cost, Gates, Governor, governed, Presence } from "effect-governance"
import { LanguageModel } from "effect-governance/ai"
import * as Memory from "effect-governance/memory"
import * as Postgres from "effect-governance/postgres"
import { FakeProvider } from "effect-governance/testing/FakeProvider"
import * as OpenAiCompatible from "effect-governance/testing/OpenAiCompatible"

const agentId = "refund-agent"
const sessionId = "support-desk"
const personFrom = 1000_00

/** Dollars and cents as text: an amount of money is no floating-point number. */
const Amount = Schema.String.check(Schema.isPattern(/^\d{1,9}(\.\d{1,2})?$/))

/** Cents, so that 999.99 and 1000.00 are told apart exactly. */
const centsOf = (amount: string): number => {
  const [dollars = "", cents = ""] = amount.split(".")
  return Number(dollars) * 100 + Number(cents.padEnd(2, "0"))
}

/** Stands for your payment service. */
const paid: Array<string> = []
const pay = (order: string, amount: string) =>
  Effect.sync(() => {
    paid.push(`${order} ${amount}`)
    return `Refunded ${amount} for order ${order}.`
  })

const refund = Effect.fn("refund")(function* (order: string, asked: string) {
  const cents = centsOf(asked)
  const amount = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`
  if (cents >= personFrom) yield* Console.log(`The refund of ${amount} waits for a person: npx governance approvals`)
  return yield* pay(order, amount).pipe(
    governed({
      agentId,
      sessionId,
      tool: "refund",
      input: { order, amount },
      maxUsd: amount,
      approval: { required: cents >= personFrom }
    })
  )
})

const Refund = Tool.make("refund", {
  description: "Pays money back for an order. Waits for a person when the amount is large.",
  parameters: Schema.Struct({ order: Schema.String, amount: Amount }),
  success: Schema.String,
  failure: Schema.String,
  failureMode: "return"
})
const tools = Toolkit.make(Refund)

const handlers = tools.toLayer(
  Effect.gen(function* () {
    const governor = yield* Governor.Governor
    return {
      refund: ({ amount, order }) =>
        refund(order, amount).pipe(
          Effect.provideService(Governor.Governor, governor),
          // The model hears that it was refused and why. A halt is no refusal: it ends the conversation.
          Effect.catch((error) =>
            error._tag === "AgentHaltedError" ? Effect.die(error) : Effect.fail(`Refused: ${error.message}`)
          )
        )
    }
  })
)

/** What the agent may do: this tool and no other, for so much a day, and never with its own operator's approval. */
const rules = Effect.gen(function* () {
  const operatorId = yield* Config.String("OPERATOR").pipe(Config.withDefault("operator@example.com"))
  yield* (yield* AgentScope.AgentScope).register({ agentId, allowedTools: ["refund"] })
  yield* (yield* Cost.Cost).register({ agentId, perAgentUsdDaily: "5000.00" })
  yield* (yield* Presence.Presence).heartbeat(agentId, { operatorId })
})

const answer = Effect.fn("answer")(function* (question: string) {
  const chat = yield* Chat.fromPrompt([
    { role: "system", content: "You help customers. Give money back with the refund tool when an order went wrong." }
  ])
  let reply = yield* chat.generateText({ prompt: question, toolkit: tools })
  while (reply.toolCalls.length > 0) reply = yield* chat.generateText({ prompt: [], toolkit: tools })
  return reply.text
})

const modelAt = (url: string, apiKey?: Redacted.Redacted) =>
  Layer.unwrap(
    Effect.map(Config.String("OPENAI_MODEL").pipe(Config.withDefault("gpt-5.4-mini")), (model) =>
      // The model's own calls pass the same gates and count in the same budget.
      LanguageModel.layer({ agentId, sessionId, maxOutputTokens: 2000 }).pipe(
        Layer.provide(OpenAiCompatible.layer({ url, model, maxTokens: 2000, apiKey }))
      )
    )
  ).pipe(Layer.provide(FetchHttpClient.layer))

/** `npm start -- "<question>"`: a real model, and a database of its own in ./.governance that keeps the record. */
const main = Effect.gen(function* () {
  yield* rules
  yield* Console.log(yield* answer(process.argv[2] ?? "Order A-17 arrived broken. Please give me my 1000.00 back."))
}).pipe(
  Effect.provide(handlers),
  Effect.provide(
    Layer.unwrap(Effect.map(Config.Redacted("OPENAI_API_KEY"), (key) => modelAt("https://api.openai.com/v1", key)))
  ),
  Effect.provide(Postgres.layerEmbedded())
)

/** `npm test`: a fake model on this machine asks for the refunds. Nothing is kept and nothing leaves. */
const smoke = Effect.gen(function* () {
  const gates = yield* Gates.Gates
  const model = yield* Effect.acquireRelease(
    Effect.promise(() => FakeProvider.start()),
    (model) => Effect.promise(() => model.close())
  )
  const ask = (amount: string) => {
    model.next({ toolCalls: [{ name: "refund", arguments: { order: "A-17", amount } }] }, { text: "Done." })
    return answer(`Give me ${amount} back.`).pipe(Effect.provide(modelAt(model.openAiUrl)))
  }
  const waiting = (asked: Fiber.Fiber<unknown, unknown>) =>
    Effect.repeat(gates.list({ agentId, which: "pending" }), {
      until: (listed) => listed.length > 0,
      schedule: Schedule.spaced("20 millis")
    }).pipe(
      Effect.map(([listed]) => listed?.token ?? ""),
      Effect.raceFirst(
        Effect.andThen(
          Fiber.await(asked),
          Effect.sync(() => assert.fail("it was over before a person was asked"))
        )
      )
    )

  yield* rules
  yield* ask("999.99")
  assert.deepEqual(paid, ["A-17 999.99"])
  const large = yield* Effect.forkChild(ask("1000.00"))
  const token = yield* waiting(large)
  assert.deepEqual(paid, ["A-17 999.99"], "1000.00 was paid before a person agreed")
  yield* gates.grant(token, { by: "rita@example.com", reason: "I have seen the order" })
  yield* Fiber.join(large)
  assert.deepEqual(paid, ["A-17 999.99", "A-17 1000.00"])
  const again = yield* Effect.forkChild(ask("1000.00"))
  yield* gates.deny(yield* waiting(again), { by: "rita@example.com", reason: "once is enough" })
  yield* Fiber.join(again)
  assert.deepEqual(paid, ["A-17 999.99", "A-17 1000.00"], "one approval paid twice")
  yield* (yield* Presence.Presence).halt(agentId, { by: "rita@example.com", reason: "smoke test" })
  const requests = model.requests.length
  assert.equal((yield* Effect.exit(ask("1.00")))._tag, "Failure")
  assert.equal(model.requests.length, requests, "a halted agent asked its model")
  yield* Console.log("ok: 999.99 is paid at once; 1000.00 waits for a person, and one approval pays once")
}).pipe(Effect.scoped, Effect.timeout("60 seconds"), Effect.provide(handlers), Effect.provide(Memory.layer()))

await (process.argv.includes("--smoke") ? Effect.runPromise(smoke) : Effect.runPromise(main))
