import type { BaseMessage } from "@langchain/core/messages"
import type { ReportedUsage } from "./Meter.ts"
import type { RequestWire } from "./ModelCall.ts"
import type { Body } from "./Provider.ts"
import { answers, count, items, outputOf, product, record } from "./Reading.ts"
import { surchargeOf } from "./Surcharge.ts"

/** What is asked of a chat model of LangChain, in the words of `langChain` below. */
export const bodyOf = (
  messages: ReadonlyArray<BaseMessage>,
  options: Body,
  parameters: Body,
  description: Body
): Body => ({
  model: parameters.model ?? parameters.model_name ?? description.ls_model_name,
  max_tokens:
    parameters.max_completion_tokens ??
    parameters.max_output_tokens ??
    parameters.max_tokens ??
    parameters.maxOutputTokens ??
    parameters.maxTokens ??
    description.ls_max_tokens,
  n: parameters.n,
  service_tier: parameters.service_tier,
  speed: parameters.speed,
  inference_geo: parameters.inference_geo,
  messages: messages.map((message) => ({ type: message.getType(), content: message.content })),
  tools: options.tools ?? []
})

/** In any of the forms that `bindTools` takes or makes. */
export const toolName = (tool: Body): string =>
  String(record(tool.function).name ?? record(tool.custom).name ?? tool.name ?? tool.type)

/** LangChain's own form of a request, the same for every provider. */
export const langChain: RequestWire = {
  llm: "llm.langchain.chat",
  request: (body) => ({
    model: String(body.model),
    maxTokens: product(count(body.max_tokens), answers(body.n)),
    stream: false,
    tools: items(body.tools).map(toolName),
    surcharge: surchargeOf(body)
  }),
  rewrite: (body, { isVisible, model }) => ({
    body: { ...body, model, tools: items(body.tools).filter((tool) => isVisible(toolName(tool))) },
    hidesUsage: false
  })
}

/** `usage_metadata` of a message: input includes what was read from and written to a cache. */
export const usageOf = (message: Body): ReportedUsage | undefined => {
  const usage = record(message.usage_metadata)
  const inputTokens = count(usage.input_tokens)
  if (inputTokens === undefined) return undefined
  const details = record(usage.input_token_details)
  const { model_name: model, model: alias } = record(message.response_metadata)
  const name = model ?? alias
  return {
    ...(typeof name === "string" && name !== "" ? { model: name } : {}),
    inputTokens,
    ...outputOf(usage.output_tokens),
    cachedInputTokens: count(details.cache_read) ?? 0,
    cacheWriteTokens: count(details.cache_creation) ?? 0,
    reasoningTokens: count(record(usage.output_token_details).reasoning) ?? 0
  }
}

/**
 * The usage of a stream's chunks together: each brings what is new. Only for Anthropic LangChain hands on what the provider
 * says, whose output is a running total.
 */
export const added = (
  provider: string,
  before: ReportedUsage | undefined,
  next: ReportedUsage | undefined
): ReportedUsage | undefined => {
  if (before === undefined || next === undefined) return next ?? before
  if (provider === "anthropic" && next.inputTokens === 0) {
    return { ...before, outputTokens: Math.max(before.outputTokens ?? 0, next.outputTokens ?? 0) }
  }
  const sum = (key: "inputTokens" | "outputTokens" | "cachedInputTokens" | "cacheWriteTokens" | "reasoningTokens") =>
    (before[key] ?? 0) + (next[key] ?? 0)
  return {
    ...before,
    ...next,
    inputTokens: sum("inputTokens"),
    outputTokens: sum("outputTokens"),
    cachedInputTokens: sum("cachedInputTokens"),
    cacheWriteTokens: sum("cacheWriteTokens"),
    reasoningTokens: sum("reasoningTokens")
  }
}
