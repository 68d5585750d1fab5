import type { ReportedUsage } from "./Meter.ts"
import type { Body, Wire } from "./Provider.ts"
import { count, eventOf, items, outputOf, record, utf8Length } from "./Reading.ts"
import { withVisibleTools } from "./VisibleTools.ts"

/** `POST /responses` of OpenAI. Usage comes in `response.completed` without being asked for. */
export const responses: Wire = {
  llm: "llm.openai.responses",
  request: (body) => ({
    model: String(body.model),
    maxTokens: count(body.max_output_tokens),
    stream: body.stream === true,
    tools: items(body.tools).map(toolName)
  }),
  rewrite: (body, { isVisible, model }) => ({
    body: { ...withVisibleTools(body, toolName, isVisible), model },
    hidesUsage: false
  }),
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

/** A tool of the provider's own has no name but its type, such as `web_search`. */
const toolName = (tool: Body): string => String(tool.name ?? tool.server_label ?? tool.type)
