import { Context, Effect, Layer, Schedule } from "effect"
import { FetchHttpClient, type HttpClient } from "effect/http"
import * as Governed from "../../../src/integrations/LanguageModel.ts"
import type { ScopePolicyInput } from "../../../src/schema/AgentScope.ts"
import type { BudgetPolicyInput } from "../../../src/schema/Cost.ts"
import { AgentScope } from "../../../src/services/AgentScope.ts"
import { Audit } from "../../../src/services/Audit.ts"
import { Cost } from "../../../src/services/Cost.ts"
import { Presence } from "../../../src/services/Presence.ts"
import type { GovernanceOptions } from "../../../src/services/Settings.ts"
import { FakeProvider, type FakeScript } from "../../../src/testing/FakeProvider.ts"
import * as OpenAiCompatible from "../../../src/testing/OpenAiCompatible.ts"
import { memory } from "../../services/World.ts"

export const agentId = "clerk"
export const sessionId = "s1"
export const model = "gpt-4o-mini"
/** Nano-USD a token. */
export const price = { input: 150, output: 600 }

/** The provider that the test scripts. */
export class Provider extends Context.Service<Provider, FakeProvider>()("test/Provider") {}

export interface WorldOptions extends GovernanceOptions {
  readonly script?: FakeScript
  readonly scope?: Partial<ScopePolicyInput>
  readonly budget?: BudgetPolicyInput
  readonly governed?: Partial<Governed.LanguageModelOptions>
  /** Below the model, instead of an ungoverned one. */
  readonly http?: Layer.Layer<HttpClient.HttpClient, never, Services>
}
type Services = Layer.Success<ReturnType<typeof memory>>

export const layerProvider = (script: FakeScript = {}) =>
  Layer.effect(
    Provider,
    Effect.acquireRelease(
      Effect.promise(() => FakeProvider.start(script)),
      (provider) => Effect.promise(() => provider.close())
    )
  )

/** The model as it is, over real HTTP. */
export const layerModel = <R = never>(http: Layer.Layer<HttpClient.HttpClient, never, R>) =>
  Layer.unwrap(
    Effect.map(Provider, ({ openAiUrl }) =>
      OpenAiCompatible.layer({ url: openAiUrl, model, maxTokens: 200 }).pipe(Layer.provide(http))
    )
  )

/** A governed model over a provider on loopback, and an agent that may do anything for ten dollars. */
export const world = ({ budget, governed, http, scope, script, ...settings }: WorldOptions = {}) =>
  Governed.layer({ agentId, sessionId, maxOutputTokens: 200, ...governed }).pipe(
    Layer.provide(layerModel<Services>(http ?? FetchHttpClient.layer)),
    Layer.provideMerge(
      Layer.effectDiscard(
        Effect.gen(function* () {
          yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"], ...scope })
          yield* (yield* Cost).register({ agentId, ...(budget ?? { perSessionUsd: 10 }) })
        })
      )
    ),
    Layer.provideMerge(settings.enableCoverage === true ? layerCovered(settings) : memory(settings)),
    Layer.provideMerge(layerProvider(script))
  )

/** The provider counts as one of language models. */
const layerCovered = (settings: GovernanceOptions) =>
  Layer.unwrap(
    Effect.map(Provider, ({ url }) =>
      memory({ workspaceSalt: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU", coverageHosts: [new URL(url).host], ...settings })
    )
  )

export const money = (session = sessionId) =>
  Effect.map(
    Cost.use((cost) => cost.snapshot(agentId, session)),
    ({ state }) => ({ spent: Number(state.sessionUsd), held: Number(state.heldUsd) })
  )

/** Waits until nothing is held any more, and says what was spent. */
export const spent = (session = sessionId) =>
  money(session).pipe(
    Effect.filterOrFail(({ held }) => held === 0),
    Effect.retry({ times: 200, schedule: Schedule.spaced("10 millis") }),
    Effect.map((all) => all.spent)
  )

export const kinds = (session = sessionId) =>
  Effect.map(
    Audit.use((audit) => audit.traceSessionChain(session)),
    (rows) => rows.map(({ kind, metadata }) => [kind, Object(metadata).result].filter(Boolean).join(" "))
  )

export const halt = Presence.use((presence) => presence.halt(agentId, { by: "ada", reason: "stop" }))
export const requests = Effect.map(Provider, ({ requests }) => requests.length)
export const usage = { input: 10, output: 75 }
export const exact = usage.input * price.input + usage.output * price.output
export const text = "word ".repeat(60)
