import type { ReportedUsage } from "./Meter.ts"
import { allNamesOf, visibleChoice, visibleTools } from "./OpenAiToolNames.ts"
import type { Body, Rewritten, StreamEvent, Wire } from "./Provider.ts"
import { answers, count, eventOf, items, largest, outputOf, product, record, utf8Length } from "./Reading.ts"
import { surchargeOf } from "./Surcharge.ts"

/** `POST /chat/completions` of OpenAI and of everything that speaks like it. */
export const chat: Wire = {
  llm: "llm.openai.chat",
  request: (body) => ({
    model: String(body.model),
    // Those who speak like OpenAI heed one of them or the other.
    maxTokens: product(largest([body.max_completion_tokens, body.max_tokens]), answers(body.n)),
    stream: body.stream === true,
    tools: [
      ...[...items(body.tools), ...items(body.functions)].flatMap(allNamesOf),
      // A tool in all but its form.
      ...(body.web_search_options == null ? [] : ["web_search"])
    ],
    surcharge: surchargeOf(body)
  }),
  rewrite: (body, { isVisible, model }) => {
    const asked = isVisible("web_search") ? body : withoutSearch(body)
    const shown = withTools(withTools(asked, "tools", isVisible), "functions", isVisible)
    return withUsage({ ...shown, model })
  },
  usage: (reply) => chatUsage(reply),
  event: (data) => chunkOf(data, (choice) => deltaBytes(record(choice.delta)))
}

/** One event of a stream of choices, `bytes` of answer in each. */
export const chunkOf = (data: string, bytes: (choice: Body) => number): StreamEvent => {
  // Some providers report usage beside the last words: only now is it known to be the last.
  if (data === "[DONE]") return { isLast: true, usage: {} }
  const event = eventOf(data)
  const choices = items(event.choices)
  const usage = chatUsage(event)
  return {
    bytes: choices.reduce((sum, choice) => sum + bytes(choice), 0),
    usage,
    isUsageOnly: usage !== undefined && choices.length === 0,
    ...(event.error === undefined ? {} : { error: "the provider reported an error in the stream" })
  }
}

/** Asks for the usage of a stream, unless the caller has said whether he wants it (WRP-05). */
export const withUsage = (body: Body): Rewritten => {
  const options = record(body.stream_options)
  if (body.stream !== true || options.include_usage !== undefined) return { body, hidesUsage: false }
  return { body: { ...body, stream_options: { ...options, include_usage: true } }, hidesUsage: true }
}

/** Prompt tokens include the cached ones, completion tokens the reasoning. */
export const chatUsage = (reply: Body): ReportedUsage | undefined => {
  const usage = record(reply.usage)
  const inputTokens = count(usage.prompt_tokens)
  if (inputTokens === undefined) return undefined
  return {
    ...(typeof reply.model === "string" ? { model: reply.model } : {}),
    inputTokens,
    ...outputOf(usage.completion_tokens),
    cachedInputTokens: count(record(usage.prompt_tokens_details).cached_tokens) ?? 0,
    reasoningTokens: count(record(usage.completion_tokens_details).reasoning_tokens) ?? 0
  }
}

/** Without the hidden ones; what only makes sense with tools goes with the last of them. */
const withTools = (body: Body, key: "tools" | "functions", isVisible: (tool: string) => boolean): Body => {
  const tools = items(body[key])
  const visible = visibleTools(tools, isVisible)
  if (visible === tools) return body
  const { [key]: _, tool_choice, function_call, parallel_tool_calls, ...rest } = body
  if (visible.length === 0) return rest
  return {
    ...rest,
    [key]: visible,
    ...(parallel_tool_calls === undefined ? {} : { parallel_tool_calls }),
    ...kept({ tool_choice, function_call }, isVisible)
  }
}

const withoutSearch = ({ web_search_options: _, ...rest }: Body): Body => rest

const kept = (choices: Body, isVisible: (tool: string) => boolean): Body =>
  Object.fromEntries(
    Object.entries(choices).flatMap(([key, choice]) => {
      const visible = visibleChoice(choice, isVisible)
      return visible === undefined ? [] : [[key, visible]]
    })
  )

const deltaBytes = (delta: Body): number =>
  utf8Length(delta.content) +
  utf8Length(delta.refusal) +
  utf8Length(delta.reasoning_content) +
  utf8Length(record(delta.function_call).arguments) +
  items(delta.tool_calls).reduce((sum, call) => sum + utf8Length(record(call.function).arguments), 0)
