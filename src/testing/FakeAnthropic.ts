/** Anthropic's wire format: messages, their events, the count of tokens, batches. */
import type { Said } from "./FakeReply.ts"
import { cutUp } from "./FakeReply.ts"

export const messageBody = (said: Said) => ({
  ...head(said),
  content: [
    ...(said.text === "" ? [] : [{ type: "text", text: said.text, citations: null }]),
    ...said.tools.map((tool) => ({ type: "tool_use", id: tool.id, name: tool.name, input: parsed(tool.json) }))
  ],
  stop_reason: stop(said),
  stop_sequence: null,
  ...(said.usage === null ? {} : { usage: { ...input(said.usage), output_tokens: said.usage.output } })
})

/** `message_start` knows the input and next to nothing of the output; every `message_delta` has the output so far, not a part of it. */
export const messageEvents = (said: Said): ReadonlyArray<string> => {
  const usage = said.usage
  const blocks = [
    ...(said.text === "" ? [] : [textBlock(said)]),
    ...said.tools.map((tool) => toolBlock(said, tool))
  ].flatMap((block, index) => [
    event("content_block_start", { index, content_block: block.start }),
    ...block.deltas.map((delta) => event("content_block_delta", { index, delta })),
    event("content_block_stop", { index })
  ])
  const last = said.reply.usageDeltas ?? 1
  return [
    event("message_start", {
      message: {
        ...head(said),
        content: [],
        stop_reason: null,
        stop_sequence: null,
        ...(usage === null ? {} : { usage: { ...input(usage), output_tokens: Math.min(1, usage.output) } })
      }
    }),
    event("ping", {}),
    ...blocks,
    ...Array.from({ length: last }, (_, i) =>
      event("message_delta", {
        delta: { stop_reason: i + 1 === last ? stop(said) : null, stop_sequence: null },
        ...(usage === null ? {} : { usage: { output_tokens: Math.ceil((usage.output * (i + 1)) / last) } })
      })
    ),
    event("message_stop", {})
  ]
}

export const countBody = (said: Said) => ({ input_tokens: said.usage?.input ?? 10 })

export const messageBatchBody = (said: Said) => ({
  id: `msgbatch_${said.id}`,
  type: "message_batch",
  processing_status: "in_progress",
  request_counts: { processing: 1, succeeded: 0, errored: 0, canceled: 0, expired: 0 }
})

export const anthropicError = (status: number, message: string) => ({
  type: "error",
  error: { type: errorTypes[status] ?? (status >= 500 ? "api_error" : "invalid_request_error"), message },
  request_id: "req_fake"
})

const errorTypes: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error"
}

const event = (type: string, fields: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`

const head = (said: Said) => ({ id: `msg_${said.id}`, type: "message", role: "assistant", model: said.model })

const stop = (said: Said) => (said.cut ? "max_tokens" : said.tools.length > 0 ? "tool_use" : "end_turn")

const textBlock = (said: Said) => ({
  start: { type: "text", text: "" } as object,
  deltas: said.deltas.map((text): object => ({ type: "text_delta", text }))
})

const toolBlock = (said: Said, tool: Said["tools"][number]) => ({
  start: { type: "tool_use", id: tool.id, name: tool.name, input: {} } as object,
  deltas: cutUp(tool.json, said.reply).map((partial_json): object => ({ type: "input_json_delta", partial_json }))
})

/** `input_tokens` leaves the caches out, unlike OpenAI's. */
const input = (usage: NonNullable<Said["usage"]>) => ({
  input_tokens: usage.input,
  cache_creation_input_tokens: usage.cacheWrite + usage.cacheWrite1h,
  cache_read_input_tokens: usage.cacheRead,
  cache_creation: { ephemeral_5m_input_tokens: usage.cacheWrite, ephemeral_1h_input_tokens: usage.cacheWrite1h }
})

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}
