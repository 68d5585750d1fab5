import { Context, Effect, Layer, Schedule } from "effect"
import { FetchHttpClient, type HttpClient } from "effect/http"
import * as Governed from "../../../src/integrations/LanguageModel.ts"
import type { GovernanceOptions } from "../../../src/services/Settings.ts"
import { FakeProvider, type FakeScript } from "../../../src/testing/FakeProvider.ts"
import * as OpenAiCompatible from "../../../src/testing/OpenAiCompatible.ts"
import { memory } from "../../services/World.ts"
import { type AgentPolicies, agentId, governedAgent, money, sessionId } from "../Agent.ts"

export { agentId, halt, money, outcomes as kinds, sessionId } from "../Agent.ts"
export const model = "gpt-4o-mini"
/** Nano-USD a token. */
export const price = { input: 150, output: 600 }

/** The provider that the test scripts. */
export class Provider extends Context.Service<Provider, FakeProvider>()("test/Provider") {}

export interface WorldOptions extends GovernanceOptions, AgentPolicies {
  readonly script?: FakeScript
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
export const world = ({ budget, gated, governed, http, scope, script, ...settings }: WorldOptions = {}) =>
  Governed.layer({ agentId, sessionId, maxOutputTokens: 200, ...governed }).pipe(
    Layer.provide(layerModel<Services>(http ?? FetchHttpClient.layer)),
    Layer.provideMerge(Layer.effectDiscard(governedAgent({ budget, gated, scope }))),
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

/** Waits until nothing is held any more, and says what was spent. */
export const spent = (session = sessionId) =>
  money(session).pipe(
    Effect.filterOrFail(({ held }) => held === 0),
    Effect.retry({ times: 200, schedule: Schedule.spaced("10 millis") }),
    Effect.map((all) => all.spent)
  )

export const requests = Effect.map(Provider, ({ requests }) => requests.length)
export const usage = { input: 10, output: 75 }
export const exact = usage.input * price.input + usage.output * price.output
export const text = "word ".repeat(60)
