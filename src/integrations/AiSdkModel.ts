import type { EmbeddingModel as AnyEmbeddingModel, LanguageModel as AnyLanguageModel } from "ai"
import { canonicalProvider } from "../schema/ModelProvider.ts"
import { record } from "./Reading.ts"

/** A language model of any provider package, in each version of the interface that this SDK takes. */
export type LanguageModel = Exclude<AnyLanguageModel, string>
export type LanguageModelV4 = Extract<LanguageModel, { readonly specificationVersion: "v4" }>
export type EmbeddingModel = Exclude<AnyEmbeddingModel, string>
export type EmbeddingModelV4 = Extract<EmbeddingModel, { readonly specificationVersion: "v4" }>
export type CallParams = Parameters<LanguageModelV4["doGenerate"]>[0]
export type StreamResult = Awaited<ReturnType<LanguageModelV4["doStream"]>>
export type StreamPart = StreamResult["stream"] extends ReadableStream<infer Part> ? Part : never

/** Only language models say which URLs they read themselves: models for pictures and speech have `doGenerate` as well. */
export const isLanguageModel = (value: unknown): value is LanguageModel => {
  const { doGenerate, doStream } = record(value)
  return (
    typeof doGenerate === "function" &&
    typeof doStream === "function" &&
    typeof value === "object" &&
    value !== null &&
    "supportedUrls" in value
  )
}

export const isEmbeddingModel = (value: unknown): value is EmbeddingModel => typeof record(value).doEmbed === "function"

/** Undefined for an interface that this SDK did not have when this was written: its usage might read differently. */
export const knownVersion = ({ specificationVersion }: { readonly specificationVersion: string }): boolean =>
  specificationVersion === "v2" || specificationVersion === "v3" || specificationVersion === "v4"

/** The price book's names: `openai.chat` is its `openai`, and the id of a gateway's model begins with its host. */
export const pricedAs = ({ modelId, provider }: { readonly modelId: string; readonly provider: string }) => {
  const [, host, rest] = provider === "gateway" ? (/^([^/]+)\/(.+)$/.exec(modelId) ?? []) : []
  if (host !== undefined && rest !== undefined) return { provider: canonicalProvider(host), model: rest }
  const whole = canonicalProvider(provider)
  const known = whole === provider ? canonicalProvider(provider.split(".")[0] ?? provider) : whole
  return { provider: known, model: modelId }
}
