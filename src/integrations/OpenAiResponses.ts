import type { ReportedUsage } from "./Meter.ts"
import { allNamesOf, visibleChoice, visibleTools } from "./OpenAiToolNames.ts"
import type { Body, Wire } from "./Provider.ts"
import { count, eventOf, items, outputOf, record, utf8Length } from "./Reading.ts"
import { surchargeOf } from "./Surcharge.ts"

/** `POST /responses` of OpenAI. Usage comes in `response.completed` without being asked for. */
export const responses: Wire = {
  llm: "llm.openai.responses",
  request: (body) => ({
    model: String(body.model),
    maxTokens: count(body.max_output_tokens),
    stream: body.stream === true,
    tools: items(body.tools).flatMap(allNamesOf),
    surcharge: surchargeOf(body)
  }),
  rewrite: (body, { isVisible, model }) => {
    const tools = items(body.tools)
    const visible = visibleTools(tools, isVisible)
    if (visible === tools) return { body: { ...body, model }, hidesUsage: false }
    const { tools: _, tool_choice, ...rest } = body
    const choice = visible.length === 0 ? undefined : visibleChoice(tool_choice, isVisible)
    return {
      body: {
        ...rest,
        model,
        ...(visible.length === 0 ? {} : { tools: visible }),
        ...(choice === undefined ? {} : { tool_choice: choice })
      },
      hidesUsage: false
    }
  },
  usage: (reply) => responseUsage(reply),
  event: (data) => {
    if (data === "[DONE]") return { isLast: true }
    const event = eventOf(data)
    const type = String(event.type)
    if (type === "error") return { error: "the provider reported an error in the stream" }
    if (!ends.has(type)) return type.endsWith(".delta") ? { bytes: utf8Length(event.delta) } : {}
    return { isLast: true, usage: responseUsage(record(event.response)) }
  }
}

const ends: ReadonlySet<string> = new Set(["response.completed", "response.incomplete", "response.failed"])

/** Input tokens include the cached ones, output tokens the reasoning. */
export const responseUsage = (reply: Body): ReportedUsage | undefined => {
  const usage = record(reply.usage)
  const inputTokens = count(usage.input_tokens)
  if (inputTokens === undefined) return undefined
  return {
    ...(typeof reply.model === "string" ? { model: reply.model } : {}),
    inputTokens,
    ...outputOf(usage.output_tokens),
    cachedInputTokens: count(record(usage.input_tokens_details).cached_tokens) ?? 0,
    reasoningTokens: count(record(usage.output_tokens_details).reasoning_tokens) ?? 0
  }
}
