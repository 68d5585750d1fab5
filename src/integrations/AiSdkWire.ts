import { estimateInputTokens } from "../schema/Pricing.ts"
import type { CallParams, StreamPart } from "./AiSdkModel.ts"
import type { ReportedUsage } from "./Meter.ts"
import type { Body } from "./Provider.ts"
import { count, items, outputOf, record, utf8Length } from "./Reading.ts"

/** A request as plain JSON, for hashes, estimates and the person who approves it: without headers, which hold keys, and signals. */
export const bodyOf = (model: string, { abortSignal: _, headers: __, includeRawChunks: ___, ...params }: CallParams) =>
  plainBody({ model, ...params })

/** A value as plain JSON, with bytes as their number. */
export const plainBody = (value: Body): Body => record(JSON.parse(JSON.stringify(value, plainValue)))

/** Pictures and files count as many bytes as their text on the wire has; a good part of it is no token, which errs on the safe side. */
export const estimateOf = (value: Body): number => {
  let bytes = 0
  const text = JSON.stringify(value, (_key, one: unknown) => {
    if (!ArrayBuffer.isView(one)) return plainValue(_key, one)
    bytes += one.byteLength
    return null
  })
  return estimateInputTokens(text) + Math.ceil((bytes * 2) / 3)
}

const plainValue = (_key: string, value: unknown): unknown => {
  if (typeof value === "bigint") return value.toString()
  return ArrayBuffer.isView(value) ? { bytes: value.byteLength } : value
}

/**
 * All that the provider may answer with. Providers add a budget for thinking to the maximum, and some take a maximum of their
 * own; where the SDK chooses that budget by a level nobody can say, and the call counts as one without a maximum.
 */
export const mostTokens = (provider: string, { maxOutputTokens, providerOptions, reasoning }: CallParams) => {
  const own = Object.values(providerOptions ?? {}).map(record)
  const declared = [maxOutputTokens, ...own.map(({ maxCompletionTokens }) => count(maxCompletionTokens))]
  const most = declared.reduce((a, b) => (a === undefined ? b : b === undefined ? a : Math.max(a, b)), undefined)
  const thinking = own.map((options) => record(options.thinking ?? options.reasoningConfig))
  const budgets = thinking.map(({ budgetTokens, type }) => count(budgetTokens) ?? (type === "enabled" ? 1024 : 0))
  if (most === undefined) return undefined
  const isLevel = reasoning !== undefined && reasoning !== "none" && reasoning !== "provider-default"
  if (isLevel && addsBudget.test(provider) && thinking.every(({ type }) => type === undefined)) return undefined
  return most + Math.max(0, ...budgets)
}

const addsBudget = /anthropic|bedrock/

/** Without the hidden tools; what only makes sense with tools goes with the last of them (SCP-06). */
export const withTools = (params: CallParams, isVisible: (tool: string) => boolean): CallParams => {
  const visible = params.tools?.filter(({ name }) => isVisible(name))
  if (visible === undefined || visible.length === params.tools?.length) return params
  const { toolChoice, tools: _, ...rest } = params
  const keepsChoice = toolChoice !== undefined && (toolChoice.type !== "tool" || isVisible(toolChoice.toolName))
  return visible.length === 0 ? rest : { ...rest, tools: visible, ...(keepsChoice ? { toolChoice } : {}) }
}

/** Both forms of their usage: by class since version 3 of the interface, flat before. Totals include cache and reasoning. */
export const usageOf = (usage: unknown, model: string | undefined): ReportedUsage | undefined => {
  const { cachedInputTokens, inputTokens, outputTokens, raw, reasoningTokens } = record(usage)
  const [input, output] = [record(inputTokens), record(outputTokens)]
  const total = count(input.total) ?? count(inputTokens)
  if (total === undefined) return undefined
  const cacheWriteTokens = count(input.cacheWrite) ?? 0
  const hour = count(record(record(raw).cache_creation).ephemeral_1h_input_tokens) ?? 0
  return {
    ...(model === undefined ? {} : { model }),
    inputTokens: total,
    ...outputOf(output.total, outputTokens),
    cachedInputTokens: count(input.cacheRead) ?? count(cachedInputTokens) ?? 0,
    cacheWriteTokens,
    cacheWrite1hTokens: Math.min(hour, cacheWriteTokens),
    reasoningTokens: count(output.reasoning) ?? count(reasoningTokens) ?? 0
  }
}

/** How much of an answer a part brings. Inputs of tools come in deltas before the call itself. */
export const bytesOf = (part: StreamPart): number =>
  part.type === "text-delta" || part.type === "reasoning-delta" || part.type === "tool-input-delta"
    ? utf8Length(part.delta)
    : 0

export const toolNames = (params: CallParams): ReadonlyArray<string> =>
  items(params.tools).map(({ name }) => String(name))
