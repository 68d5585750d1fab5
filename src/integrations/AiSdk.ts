/**
 * Governs the models, providers and tools of the AI SDK (`ai`).
 */
import type { LanguageModelMiddleware } from "ai"
import type { Effect } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { type AiSdkOptions, embed, generate, type Remake, stream, type Who } from "./AiSdkCall.ts"
import {
  type EmbeddingModel,
  type EmbeddingModelV4,
  isEmbeddingModel,
  isLanguageModel,
  knownVersion,
  type LanguageModel,
  type LanguageModelV4
} from "./AiSdkModel.ts"
import { governedProvider, isProvider } from "./AiSdkProvider.ts"
import * as Host from "./Host.ts"
import { assertOwner, problemOfOwner } from "./Owner.ts"
import { record } from "./Reading.ts"
import { register, warnGoverned } from "./Registration.ts"

export type { AiSdkOptions } from "./AiSdkCall.ts"
export { type AiSdkToolOptions, type GovernedTools, governTools } from "./AiSdkTools.ts"

/**
 * A language model, an embedding model or a whole provider behind every room; the models of a governed provider are governed.
 * Throws `ConfigurationError` for anything else: pictures, sound and video have no governed form.
 */
export const governWith = <T extends object>(target: T, options: AiSdkOptions): T => {
  const problem = problemOf(target) ?? problemOfOwner(options)
  if (problem !== undefined) throw problem
  if (governed.has(target)) {
    warnGoverned(options.governance, "ai-sdk")
    return target
  }
  const who = { ...options, sessionId: options.sessionId ?? crypto.randomUUID() }
  register(options.governance, "ai-sdk")
  // A copy of one of its own kind, with the same members that its SDK looks at.
  return wrapped(who, target) as T
}

/** The same in Effect, with the services at hand. */
export const govern = <T extends object>(
  target: T,
  options: Omit<AiSdkOptions, "governance">
): Effect.Effect<T, ConfigurationError, Host.HostServices> =>
  Host.using((governance) => governWith(target, { ...options, governance }))

/** The same as a middleware, for `wrapLanguageModel` and `wrapProvider`: put it last, next to the model. */
export const governance = (options: AiSdkOptions): LanguageModelMiddleware => {
  assertOwner(options)
  const who = { ...options, sessionId: options.sessionId ?? crypto.randomUUID() }
  register(options.governance, "ai-sdk")
  return {
    specificationVersion: "v4",
    wrapGenerate: ({ model, params }) => generate(who, model, params),
    wrapStream: ({ model, params }) => stream(who, model, params)
  }
}

const governed = new WeakSet<object>()

const wrapped = (who: Who, target: object, remake?: Remake): object => {
  const made = isLanguageModel(target)
    ? languageModel(who, target, remake)
    : isEmbeddingModel(target)
      ? embeddingModel(who, target)
      : governedProvider(who, target, (model, again) => (governed.has(model) ? model : wrapped(who, model, again)))
  governed.add(made)
  return made
}

/** Only what the SDK needs of a model: whatever else a provider's class can do stays out of reach. */
const languageModel = (who: Who, model: LanguageModel, remake: Remake) => {
  // Versions differ in parts that are passed on as they are; both forms of usage are read.
  const inner = model as LanguageModelV4
  const { modelId, provider, specificationVersion } = inner
  return {
    ...{ specificationVersion, provider, modelId },
    get supportedUrls() {
      return inner.supportedUrls
    },
    doGenerate: (params: Parameters<LanguageModelV4["doGenerate"]>[0]) => generate(who, inner, params, remake),
    doStream: (params: Parameters<LanguageModelV4["doStream"]>[0]) => stream(who, inner, params, remake)
  }
}

const embeddingModel = (who: Who, model: EmbeddingModel) => {
  // As above.
  const inner = model as EmbeddingModelV4
  const { maxEmbeddingsPerCall, modelId, provider, specificationVersion, supportsParallelCalls } = inner
  return {
    ...symbolsOf(inner),
    ...{ specificationVersion, provider, modelId, maxEmbeddingsPerCall, supportsParallelCalls },
    doEmbed: (params: Parameters<EmbeddingModelV4["doEmbed"]>[0]) => embed(who, inner, params)
  }
}

/** Limits of an embedding model stand under symbols, which its SDK reads before it cuts the values into calls. */
const symbolsOf = (model: object): object => {
  const found: Array<[symbol, unknown]> = []
  for (let at: object | null = model; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const key of Object.getOwnPropertySymbols(at)) found.push([key, Reflect.get(model, key)])
  }
  return Object.fromEntries(found.reverse())
}

const problemOf = (target: object): ConfigurationError | undefined => {
  if (isProvider(target)) return undefined
  if (!isLanguageModel(target) && !isEmbeddingModel(target)) {
    return new ConfigurationError({
      setting: "ai",
      problem: "only language models, embedding models and providers can be governed"
    })
  }
  return knownVersion(target)
    ? undefined
    : new ConfigurationError({
        setting: "ai",
        problem: `found a model of interface ${String(record(target).specificationVersion)}, wanted v4 of ai 7`
      })
}
