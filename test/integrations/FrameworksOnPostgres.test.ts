import { createOpenAI } from "@ai-sdk/openai"
import { assert, layer } from "@effect/vitest"
import { Agent, OpenAIProvider, Runner, setTracingDisabled } from "@openai/agents"
import { generateText, type ModelMessage, stepCountIs, tool } from "ai"
import { Effect, Layer } from "effect"
import OpenAI from "openai"
import { z } from "zod"
import * as AiSdk from "../../src/integrations/AiSdk.ts"
import * as Host from "../../src/integrations/Host.ts"
import * as OpenAiAgents from "../../src/integrations/OpenAiAgents.ts"
import { items, record } from "../../src/integrations/Reading.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { FakeProvider } from "../../src/testing/FakeProvider.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { rejection, tagOf } from "./FrameworkWorld.ts"

setTracingDisabled(true)

/** Governance as a process of its own has it; it ends with the scope. */
const processOn = Effect.gen(function* () {
  const { appUrl } = yield* TestDatabase
  const options = { databaseUrl: appUrl, auditSecret: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU", testMode: true } as const
  return yield* Layer.build(Layer.fresh(Postgres.layer({ ...options, enforcementDeadline: "20 seconds" })))
})

const providerOf = (script: Parameters<typeof FakeProvider.start>[0]) =>
  Effect.acquireRelease(
    Effect.promise(() => FakeProvider.start(script)),
    (provider) => Effect.promise(() => provider.close())
  )

const enrol = (agentId: string, gated: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
    yield* (yield* Cost).register({ agentId, perSessionUsd: "0.0175" })
    yield* (yield* Policies).register(agentId, "gate", { requireApproval: [...gated] })
    yield* (yield* Presence).heartbeat(agentId, { operatorId: "olga@example.org" })
  })

const dear = { usage: { input: 10, output: 400 }, delayFirstMs: 300 }
const sessionId = "s1"

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })("Frameworks on Postgres", (it) => {
  it.effect("AI SDK: 20 calls at once from two processes on a budget for 4 are 4 requests (BEY-01)", () =>
    Effect.gen(function* () {
      const processes = [yield* processOn, yield* processOn]
      const provider = yield* providerOf(dear)
      yield* Effect.provide(enrol("ai-sdk"), processes[0]!)
      const raw = createOpenAI({ apiKey: "none", baseURL: provider.openAiUrl })
      const models = yield* Effect.forEach(processes, (process) =>
        Effect.provide(AiSdk.govern(raw.chat("gpt-4o"), { agentId: "ai-sdk", sessionId }), process)
      )
      const calls = yield* Effect.promise(() =>
        Promise.allSettled(
          Array.from({ length: 20 }, (_, i) =>
            generateText({ model: models[i % 2]!, prompt: "Well?", maxOutputTokens: 400 })
          )
        )
      )
      assert.strictEqual(calls.filter(({ status }) => status === "fulfilled").length, 4)
      assert.lengthOf(provider.requests, 4)
    })
  )

  it.effect("agents SDK: 20 runs at once from two processes on a budget for 4 are 4 requests (BEY-01)", () =>
    Effect.gen(function* () {
      const processes = [yield* processOn, yield* processOn]
      const provider = yield* providerOf(dear)
      yield* Effect.provide(enrol("agents"), processes[0]!)
      const openAIClient = new OpenAI({ apiKey: "none", baseURL: provider.openAiUrl, maxRetries: 0 })
      const raw = new OpenAIProvider({ openAIClient })
      const runners = yield* Effect.forEach(processes, (process) =>
        Effect.map(
          Effect.provide(OpenAiAgents.govern(raw, { agentId: "agents", sessionId: "s2" }), process),
          (modelProvider) => new Runner({ modelProvider })
        )
      )
      const agent = new Agent({ name: "Clerk", model: "gpt-4o", modelSettings: { maxTokens: 400 } })
      const runs = yield* Effect.promise(() =>
        Promise.allSettled(Array.from({ length: 20 }, (_, i) => runners[i % 2]!.run(agent, "Well?")))
      )
      assert.strictEqual(runs.filter(({ status }) => status === "fulfilled").length, 4)
      assert.lengthOf(provider.requests, 4)
    })
  )

  it.effect(
    "AI SDK: a run that one process stopped is granted in another and resumed there three times, once (BEY-02)",
    () =>
      Effect.gen(function* () {
        const [a, b] = [yield* processOn, yield* processOn]
        const provider = yield* providerOf(({ body }) =>
          items(record(body).messages).some(({ role }) => role === "tool")
            ? { text: "Done." }
            : { toolCalls: [{ name: "refund", arguments: { usd: "1000.00" }, id: "call_0" }] }
        )
        const agentId = "refunder"
        yield* Effect.provide(enrol(agentId, ["refund"]), a)
        const ran: Array<unknown> = []
        const execute = async (input: unknown) => {
          ran.push(input)
          return "refunded"
        }
        const runOn = (process: typeof a) =>
          Effect.gen(function* () {
            const governance = yield* Host.make
            const who = { governance, agentId, sessionId: "s3" }
            const raw = createOpenAI({ apiKey: "none", baseURL: provider.openAiUrl }).chat("gpt-4o")
            const model = AiSdk.governWith(raw, who)
            const refund = tool({ inputSchema: z.object({ usd: z.string() }), execute })
            const governed = AiSdk.governTools({ refund }, who)
            return (messages: ReadonlyArray<ModelMessage>) =>
              generateText({
                model,
                ...governed,
                messages: [...messages],
                stopWhen: stepCountIs(3),
                maxOutputTokens: 50
              })
          }).pipe(Effect.provide(process))
        const [onA, onB] = [yield* runOn(a), yield* runOn(b)]
        const start: ReadonlyArray<ModelMessage> = [{ role: "user", content: "Refund it." }]
        const asked = yield* Effect.promise(() => onA(start))
        const approvals = items(asked.content).filter(({ type }) => type === "tool-approval-request")
        const history: ReadonlyArray<ModelMessage> = [
          ...start,
          ...asked.response.messages,
          {
            role: "tool",
            content: approvals.map(({ approvalId }) => ({
              type: "tool-approval-response",
              approvalId: String(approvalId),
              approved: true
            }))
          }
        ]
        assert.strictEqual(tagOf(yield* Effect.promise(() => rejection(onB(history)))), "ApprovalPending")
        yield* Effect.gen(function* () {
          const gates = yield* Gates
          const [card, ...more] = yield* gates.list({ agentId })
          assert.lengthOf(more, 0)
          yield* gates.grant(card?.token ?? "", { by: "rita@example.org" })
        }).pipe(Effect.provide(a))
        yield* Effect.promise(() => Promise.allSettled([onB(history), onA(history), onB(history)]))
        assert.deepStrictEqual(ran, [{ usd: "1000.00" }])
      })
  )
})
