import type { ReportedUsage } from "./Meter.ts"
import type { Body, Wire } from "./Provider.ts"
import { count, eventOf, items, outputOf, record, utf8Length } from "./Reading.ts"
import { surchargeOf } from "./Surcharge.ts"

/** `POST /v1/messages` of Anthropic. */
export const messages: Wire = {
  llm: "llm.anthropic.messages",
  request: (body) => ({
    model: String(body.model),
    maxTokens: count(body.max_tokens),
    stream: body.stream === true,
    tools: items(body.tools).map(toolName),
    surcharge: surchargeOf(body)
  }),
  rewrite: (body, { isVisible, model }) => ({
    body: { ...withTools(body, isVisible), model },
    hidesUsage: false
  }),
  usage: (reply) => messageUsage(reply, record(reply.usage)),
  event: (data) => {
    const event = eventOf(data)
    switch (event.type) {
      case "message_start": {
        const message = record(event.message)
        return { usage: messageUsage(message, record(message.usage)) }
      }
      case "content_block_delta": {
        const delta = record(event.delta)
        return { bytes: utf8Length(delta.text) + utf8Length(delta.partial_json) + utf8Length(delta.thinking) }
      }
      case "message_delta":
        return { usage: deltaUsage(record(event.usage)) }
      case "message_stop":
        return { isLast: true, usage: {} }
      case "error":
        return { error: "the provider reported an error in the stream" }
      default:
        return {}
    }
  }
}

/** `input_tokens` leaves out what was read from and written to the cache; ours is all of it. */
const messageUsage = (message: Body, usage: Body): ReportedUsage | undefined => {
  const plain = count(usage.input_tokens)
  if (plain === undefined) return undefined
  const cachedInputTokens = count(usage.cache_read_input_tokens) ?? 0
  const cacheWriteTokens = count(usage.cache_creation_input_tokens) ?? 0
  const hour = count(record(usage.cache_creation).ephemeral_1h_input_tokens) ?? 0
  return {
    ...(typeof message.model === "string" ? { model: message.model } : {}),
    inputTokens: plain + cachedInputTokens + cacheWriteTokens,
    ...outputOf(usage.output_tokens),
    cachedInputTokens,
    cacheWriteTokens,
    cacheWrite1hTokens: Math.min(hour, cacheWriteTokens)
  }
}

/** Output is cumulative: it replaces what was said before. */
const deltaUsage = (usage: Body): ReportedUsage | undefined => {
  const outputTokens = count(usage.output_tokens)
  return outputTokens === undefined ? undefined : { outputTokens }
}

/** A request without its hidden tools (SCP-06). A choice that names one of them goes too, and every choice with the last tool. */
const withTools = (body: Body, isVisible: (tool: string) => boolean): Body => {
  const tools = items(body.tools)
  const visible = tools.filter((tool) => isVisible(toolName(tool)))
  if (visible.length === tools.length) return body
  const { tools: _, tool_choice, ...rest } = body
  if (visible.length === 0) return rest
  const named = record(tool_choice).name
  const keepsChoice = tool_choice !== undefined && (named === undefined || isVisible(String(named)))
  return { ...rest, tools: visible, ...(keepsChoice ? { tool_choice } : {}) }
}

const toolName = (tool: Body): string => String(tool.name ?? tool.type)
