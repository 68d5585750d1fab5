import type { Model } from "@openai/agents"
import type { ReportedUsage } from "./Meter.ts"
import { chat } from "./OpenAiChat.ts"
import { responses } from "./OpenAiResponses.ts"
import type { Body, Wire } from "./Provider.ts"
import { answers, count, items, largest, outputOf, product, record } from "./Reading.ts"

export type ModelRequest = Parameters<Model["getResponse"]>[0]

/** What the classes of this SDK and its subclasses are called; bundlers that rename classes make a model one of another provider. */
export const classesOf = (model: object): ReadonlySet<string> => {
  const names = new Set<string>()
  for (let at: object | null = Object.getPrototypeOf(model); at !== null; at = Object.getPrototypeOf(at)) {
    names.add(at.constructor.name)
  }
  return names
}

/** How the raw events of the SDK's own models are read; undefined for a model of somebody else's. */
export const wireOf = (classes: ReadonlySet<string>): Wire | undefined => {
  if (classes.has("OpenAIChatCompletionsModel")) return chat
  return classes.has("OpenAIResponsesModel") ? responses : undefined
}

/** A request as plain JSON, for hashes, estimates and the person who approves it. */
export const bodyOf = (model: string, { signal: _, tracing: __, modelSettings, ...request }: ModelRequest): Body => {
  const { providerData: ___, retry: ____, ...settings } = modelSettings
  return record(JSON.parse(JSON.stringify({ model, ...request, modelSettings: settings })))
}

/** All that the provider may answer with; `providerData` goes into the request as it is. */
export const mostTokens = ({ modelSettings: { maxTokens, providerData = {} } }: ModelRequest): number | undefined => {
  const { max_completion_tokens, max_output_tokens, max_tokens, n } = providerData
  return product(largest([maxTokens, max_completion_tokens, max_output_tokens, max_tokens]), answers(n))
}

export const toolNames = ({ handoffs, tools }: ModelRequest): ReadonlyArray<string> => [
  ...tools.map(({ name }) => name),
  ...handoffs.map(({ toolName }) => toolName)
]

/** Without the hidden tools and handoffs; a choice that names one goes with it (SCP-06). */
export const withTools = (request: ModelRequest, isVisible: (tool: string) => boolean): ModelRequest => {
  const tools = request.tools.filter(({ name }) => isVisible(name))
  const handoffs = request.handoffs.filter(({ toolName }) => isVisible(toolName))
  if (tools.length === request.tools.length && handoffs.length === request.handoffs.length) return request
  const { toolChoice, ...modelSettings } = request.modelSettings
  const keepsChoice =
    toolChoice !== undefined &&
    tools.length + handoffs.length > 0 &&
    (["auto", "required", "none"].includes(toolChoice) || isVisible(toolChoice))
  return { ...request, tools, handoffs, modelSettings: keepsChoice ? request.modelSettings : modelSettings }
}

/** The SDK says 0 where a provider says nothing: an answer that took no input at all is one without usage. */
export const usageOf = (response: unknown): ReportedUsage | undefined => {
  const { providerData, usage } = record(response)
  const { inputTokens, inputTokensDetails, outputTokens, outputTokensDetails } = record(usage)
  const input = count(inputTokens) ?? 0
  if (input === 0) return undefined
  const { model } = record(providerData)
  return {
    ...(typeof model === "string" ? { model } : {}),
    inputTokens: input,
    ...outputOf(outputTokens),
    cachedInputTokens: Math.min(input, sum(inputTokensDetails, "cached_tokens")),
    reasoningTokens: sum(outputTokensDetails, "reasoning_tokens")
  }
}

/** One record, or one for each request that the answer took. */
const sum = (details: unknown, key: string): number =>
  (Array.isArray(details) ? items(details) : [record(details)]).reduce((all, one) => all + (count(one[key]) ?? 0), 0)
