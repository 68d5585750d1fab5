/** OpenAI's older wire formats: chat completions with their chunks, completions, embeddings, models. */
import type { Said } from "./FakeReply.ts"
import { created, cutUp } from "./FakeReply.ts"

export const chatBody = (said: Said) => ({
  id: `chatcmpl-${said.id}`,
  object: "chat.completion",
  created,
  model: said.model,
  choices: choices(said).map((index) => ({
    index,
    message: {
      role: "assistant",
      content: said.text === "" && said.tools.length > 0 ? null : said.text,
      refusal: null,
      ...(said.tools.length > 0 ? { tool_calls: said.tools.map(toolCall) } : {})
    },
    logprobs: null,
    finish_reason: finish(said)
  })),
  ...(said.usage === null ? {} : { usage: chatUsage(said.usage) })
})

/** Usage comes only when the request asked for it: in a last chunk without choices, as the real thing does. */
export const chatEvents = (said: Said): ReadonlyArray<string> => {
  const asked = said.body.stream_options?.include_usage === true && said.usage !== null
  const chunk = (over: object) =>
    data({
      id: `chatcmpl-${said.id}`,
      object: "chat.completion.chunk",
      created,
      model: said.model,
      ...(asked ? { usage: null } : {}),
      ...over
    })
  const delta = (index: number, delta: object, finish_reason: string | null = null) =>
    chunk({ choices: [{ index, delta, logprobs: null, finish_reason }] })
  return [
    ...choices(said).flatMap((index) => [
      delta(index, { role: "assistant", content: "" }),
      ...said.deltas.map((content) => delta(index, { content })),
      ...said.tools.flatMap((tool, i) => [
        delta(index, {
          tool_calls: [{ index: i, id: tool.id, type: "function", function: { name: tool.name, arguments: "" } }]
        }),
        ...cutUp(tool.json, said.reply).map((piece) =>
          delta(index, { tool_calls: [{ index: i, function: { arguments: piece } }] })
        )
      ]),
      delta(index, {}, finish(said))
    ]),
    ...(asked && said.usage !== null ? [chunk({ choices: [], usage: chatUsage(said.usage) })] : []),
    "data: [DONE]\n\n"
  ]
}

export const completionBody = (said: Said) => ({
  id: `cmpl-${said.id}`,
  object: "text_completion",
  created,
  model: said.model,
  choices: choices(said).map((index) => ({ index, text: said.text, logprobs: null, finish_reason: finish(said) })),
  ...(said.usage === null ? {} : { usage: chatUsage(said.usage) })
})

export const completionEvents = (said: Said): ReadonlyArray<string> => {
  const asked = said.body.stream_options?.include_usage === true && said.usage !== null
  const chunk = (over: object) =>
    data({ id: `cmpl-${said.id}`, object: "text_completion", created, model: said.model, ...over })
  return [
    ...said.deltas.map((text) => chunk({ choices: [{ index: 0, text, logprobs: null, finish_reason: null }] })),
    chunk({ choices: [{ index: 0, text: "", logprobs: null, finish_reason: finish(said) }] }),
    ...(asked && said.usage !== null ? [chunk({ choices: [], usage: chatUsage(said.usage) })] : []),
    "data: [DONE]\n\n"
  ]
}

/** Numbers, or base64 when the client asks for it, as OpenAI's own does. */
export const embeddingBody = (said: Said) => {
  const input = Array.isArray(said.body.input) ? said.body.input : [said.body.input]
  const vector = new Float32Array([0.25, -0.5, 1])
  const embedding =
    said.body.encoding_format === "base64" ? Buffer.from(vector.buffer).toString("base64") : Array.from(vector)
  return {
    object: "list",
    data: input.map((_, index) => ({ object: "embedding", index, embedding })),
    model: said.model,
    ...(said.usage === null ? {} : { usage: { prompt_tokens: said.usage.input, total_tokens: said.usage.input } })
  }
}

export const modelsBody = {
  object: "list",
  data: [{ id: "fake-model", object: "model", created, owned_by: "nobody" }]
}

export const batchBody = (said: Said) => ({
  id: `batch_${said.id}`,
  object: "batch",
  endpoint: said.body.endpoint ?? null,
  input_file_id: said.body.input_file_id ?? null,
  completion_window: "24h",
  status: "validating",
  created_at: created
})

export const openAiError = (status: number, message: string) => ({
  error: {
    message,
    type: status === 429 ? "rate_limit_error" : status >= 500 ? "server_error" : "invalid_request_error",
    param: null,
    code: status === 429 ? "rate_limit_exceeded" : null
  }
})

/** One server-sent event without a name. */
export const data = (value: object) => `data: ${JSON.stringify(value)}\n\n`

const choices = (said: Said) => Array.from({ length: said.body.n ?? 1 }, (_, index) => index)

const finish = (said: Said) => (said.cut ? "length" : said.tools.length > 0 ? "tool_calls" : "stop")

const toolCall = (tool: Said["tools"][number]) => ({
  id: tool.id,
  type: "function",
  function: { name: tool.name, arguments: tool.json }
})

const chatUsage = (usage: NonNullable<Said["usage"]>) => {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite + usage.cacheWrite1h
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.output,
    total_tokens: prompt + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: usage.reasoning, audio_tokens: 0 }
  }
}
