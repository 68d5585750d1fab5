import { ChatAnthropic } from "@langchain/anthropic"
import { ChatOpenAI } from "@langchain/openai"
import { Effect } from "effect"
import * as Host from "../../../src/integrations/Host.ts"
import * as Memory from "../../../src/layers/Memory.ts"
import { AgentId } from "../../../src/schema/Ids.ts"
import { Audit } from "../../../src/services/Audit.ts"
import { Cost } from "../../../src/services/Cost.ts"
import { Policies } from "../../../src/services/Policies.ts"
import type { GovernanceOptions } from "../../../src/services/Settings.ts"
import { FakeProvider } from "../../../src/testing/FakeProvider.ts"

export const provider = Effect.acquireRelease(
  Effect.promise(() => FakeProvider.start()),
  (server) => Effect.promise(() => server.close())
)

/** An agent `clerk` with tools, a budget and a fake provider, all services in memory. */
export const world = Effect.fnUntraced(function* (usd: number | string = 10) {
  const server = yield* provider
  const policies = yield* Policies
  yield* policies.register("clerk", "scope", { allowedTools: ["refund", "search"], hiddenTools: ["secret"] })
  yield* policies.register("clerk", "budget", { perSessionUsd: usd })
  const governance = yield* Host.make
  const options = { governance, agentId: "clerk", sessionId: "s" }
  const openai = (fields: object = {}) =>
    new ChatOpenAI({
      model: "gpt-4o",
      apiKey: "none",
      maxTokens: 100,
      maxRetries: 0,
      configuration: { baseURL: server.openAiUrl },
      ...fields
    })
  const anthropic = () =>
    new ChatAnthropic({
      model: "claude-sonnet-4-6",
      apiKey: "none",
      maxTokens: 100,
      maxRetries: 0,
      anthropicApiUrl: server.url
    })
  return { server, governance, options, openai, anthropic }
})

/** What is held and spent now, in nano-USD. */
export const spent = Effect.gen(function* () {
  const { state } = yield* (yield* Cost).snapshot("clerk", "s")
  return { held: state.heldUsd, usd: state.sessionUsd, tokens: state.sessionTokens }
})

/** The same once nothing is held any more: what settles a dropped stream runs after its consumer has gone. */
export const settled = Effect.gen(function* () {
  for (let i = 0; i < 200; i++) {
    const now = yield* spent
    if (now.held === 0n) return now
    yield* Effect.sleep("10 millis")
  }
  return yield* spent
})

export const inMemory =
  (options: GovernanceOptions = {}) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    self.pipe(Effect.scoped, Effect.provide(Memory.layer({ warnOnNoWrappers: false, ...options }), { local: true }))

/** The kinds of the agent's rows, in order. */
export const kinds = Effect.gen(function* () {
  const events = yield* (yield* Audit).getEvents({ agentId: AgentId.make("clerk") })
  return events.map(({ kind }) => kind)
})
