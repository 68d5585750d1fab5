/** OpenAI's Responses format: the object, its typed events up to `response.completed`, and background work. */
import type { Said } from "./FakeReply.ts"
import { created, cutUp } from "./FakeReply.ts"

type Status = "queued" | "in_progress" | "completed" | "incomplete"

/** Usage is there only when the response is over, also for background work that is retrieved later. */
export const responseBody = (said: Said, status: Status = over(said)) => {
  const done = status === "completed" || status === "incomplete"
  return {
    id: `resp_${said.id}`,
    object: "response",
    created_at: created,
    status,
    background: said.body.background === true,
    error: null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: null,
    max_output_tokens: said.body.max_output_tokens ?? null,
    metadata: {},
    model: said.model,
    output: done ? items(said) : [],
    parallel_tool_calls: true,
    previous_response_id: null,
    temperature: 1,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    tools: said.body.tools ?? [],
    top_p: 1,
    usage: done && said.usage !== null ? responseUsage(said.usage) : null
  }
}

export const responseEvents = (said: Said): ReadonlyArray<string> => {
  let sequence_number = 0
  const event = (type: string, fields: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence_number++, ...fields })}\n\n`
  const end = over(said)
  return [
    event("response.created", { response: responseBody(said, "in_progress") }),
    event("response.in_progress", { response: responseBody(said, "in_progress") }),
    ...items(said).flatMap((item, output_index) =>
      item.type === "message"
        ? messageEvents(said, item, output_index, event)
        : callEvents(said, item, output_index, event)
    ),
    event(`response.${end}`, { response: responseBody(said, end) })
  ]
}

type Event = (type: string, fields: object) => string

const messageEvents = (said: Said, item: Message, output_index: number, event: Event): ReadonlyArray<string> => {
  const at = { item_id: item.id, output_index, content_index: 0 }
  return [
    event("response.output_item.added", { output_index, item: { ...item, status: "in_progress", content: [] } }),
    event("response.content_part.added", { ...at, part: { type: "output_text", text: "", annotations: [] } }),
    ...said.deltas.map((delta) => event("response.output_text.delta", { ...at, delta, logprobs: [] })),
    event("response.output_text.done", { ...at, text: said.text, logprobs: [] }),
    event("response.content_part.done", { ...at, part: item.content[0] }),
    event("response.output_item.done", { output_index, item })
  ]
}

const callEvents = (said: Said, item: FunctionCall, output_index: number, event: Event): ReadonlyArray<string> => {
  const at = { item_id: item.id, output_index }
  return [
    event("response.output_item.added", { output_index, item: { ...item, status: "in_progress", arguments: "" } }),
    ...cutUp(item.arguments, said.reply).map((delta) =>
      event("response.function_call_arguments.delta", { ...at, delta })
    ),
    event("response.function_call_arguments.done", { ...at, name: item.name, arguments: item.arguments }),
    event("response.output_item.done", { output_index, item })
  ]
}

const over = (said: Said): Status => (said.cut ? "incomplete" : "completed")

const items = (said: Said): ReadonlyArray<Message | FunctionCall> => [
  ...(said.text === "" ? [] : [message(said)]),
  ...said.tools.map((tool) => ({
    id: `fc_${tool.id}`,
    type: "function_call" as const,
    status: "completed",
    call_id: tool.id,
    name: tool.name,
    arguments: tool.json
  }))
]

const message = (said: Said) => ({
  id: `msg_${said.id}`,
  type: "message" as const,
  role: "assistant",
  status: over(said),
  content: [{ type: "output_text", text: said.text, annotations: [], logprobs: [] }]
})

type Message = ReturnType<typeof message>

interface FunctionCall {
  readonly id: string
  readonly type: "function_call"
  readonly status: string
  readonly call_id: string
  readonly name: string
  readonly arguments: string
}

const responseUsage = (usage: NonNullable<Said["usage"]>) => {
  const written = usage.cacheWrite + usage.cacheWrite1h
  const input = usage.input + usage.cacheRead + written
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: written },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: input + usage.output
  }
}
