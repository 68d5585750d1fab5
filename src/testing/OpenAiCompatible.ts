/**
 * A small `LanguageModel` of `effect/ai` for tests, examples and recipes: chat completions as OpenAI and many others speak them,
 * over `HttpClient`. No package with a provider loads on Effect 4.1; replace it by one as soon as one does.
 */
import { Effect, Layer, type Redacted, Schema, Stream } from "effect"
import { AiError, LanguageModel, Model, type Prompt, type Response, Tool } from "effect/ai"
import { HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"

export interface OpenAiCompatibleOptions {
  /** With the version: `https://api.openai.com/v1`. */
  readonly url: string
  readonly model: string
  readonly maxTokens: number
  readonly apiKey?: Redacted.Redacted | undefined
}

/** The model with its name, which a governing layer reads. */
export const layer = (options: OpenAiCompatibleOptions) =>
  Model.make("openai", options.model, Layer.effect(LanguageModel.LanguageModel, make(options)))

export const make = Effect.fnUntraced(function* ({ apiKey, maxTokens, model, url }: OpenAiCompatibleOptions) {
  const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)

  const send = (o: LanguageModel.ProviderOptions, more: object, method: string) => {
    const body = { model, max_completion_tokens: maxTokens, messages: o.prompt.content.flatMap(messages), ...tools(o) }
    const request = HttpClientRequest.post(`${url}/chat/completions`).pipe(
      HttpClientRequest.bodyJsonUnsafe({ ...body, ...format(o), ...more })
    )
    const sent = client.execute(apiKey === undefined ? request : HttpClientRequest.bearerToken(request, apiKey))
    return Effect.mapError(sent, (error) => failed(error, method))
  }

  return yield* LanguageModel.make({
    generateText: (o) =>
      send(o, {}, "generateText").pipe(
        Effect.flatMap((response) => read(response, "generateText")),
        Effect.map((reply): Array<Response.PartEncoded> => {
          const [choice] = reply.choices ?? []
          return [
            ...(typeof choice?.message?.content === "string" && choice.message.content !== ""
              ? [{ type: "text", text: choice.message.content } as const]
              : []),
            ...(choice?.message?.tool_calls ?? []).map((call) => toolCall(call.id ?? "", call.function ?? {})),
            finish(choice?.finish_reason, reply.usage)
          ]
        })
      ),
    streamText: (o) =>
      Stream.unwrap(
        Effect.map(send(o, { stream: true, stream_options: { include_usage: true } }, "streamText"), streamed)
      )
  })
})

const streamed = (response: HttpClientResponse.HttpClientResponse) => {
  const calls: Array<{ id: string; name: string; arguments: string }> = []
  let reason: string | null | undefined
  let usage: Completion["usage"]
  let isOpen = false
  const parts = (event: Completion): Array<Response.StreamPartEncoded> => {
    usage = event.usage ?? usage
    const [choice] = event.choices ?? []
    reason = choice?.finish_reason ?? reason
    for (const { function: said = {}, id, index = 0 } of choice?.delta?.tool_calls ?? []) {
      const call = calls[index] ?? { id: "", name: "", arguments: "" }
      calls[index] = call
      call.id ||= id ?? ""
      call.name ||= said.name ?? ""
      call.arguments += said.arguments ?? ""
    }
    const delta = choice?.delta?.content
    if (typeof delta !== "string" || delta === "") return []
    const opening = isOpen ? [] : [{ type: "text-start", id: "text" } as const]
    isOpen = true
    return [...opening, { type: "text-delta", id: "text", delta }]
  }
  const closing = Stream.suspend(() =>
    Stream.fromIterable<Response.StreamPartEncoded>([
      ...(isOpen ? [{ type: "text-end", id: "text" } as const] : []),
      ...calls.map((call) => toolCall(call.id, call)),
      finish(reason, usage)
    ])
  )
  return response.stream.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.filter((line) => line.startsWith("data: ") && line !== "data: [DONE]"),
    Stream.mapEffect((line) => Effect.orElseSucceed(decodeEvent(line.slice(6)), (): Completion => ({}))),
    Stream.mapError((error) => failed(error, "streamText")),
    Stream.flatMap((event) => Stream.fromIterable(parts(event))),
    Stream.concat(closing)
  )
}

const Called = Schema.Struct({
  index: Schema.optional(Schema.Int),
  id: Schema.optional(Schema.String),
  function: Schema.optional(
    Schema.Struct({ name: Schema.optional(Schema.String), arguments: Schema.optional(Schema.String) })
  )
})
const Said = Schema.Struct({
  content: Schema.optional(Schema.NullOr(Schema.String)),
  tool_calls: Schema.optional(Schema.Array(Called))
})
const Completion = Schema.Struct({
  choices: Schema.optional(
    Schema.Array(
      Schema.Struct({
        message: Schema.optional(Said),
        delta: Schema.optional(Said),
        finish_reason: Schema.optional(Schema.NullOr(Schema.String))
      })
    )
  ),
  usage: Schema.optional(
    Schema.NullOr(
      Schema.Struct({
        prompt_tokens: Schema.Int,
        completion_tokens: Schema.Int,
        prompt_tokens_details: Schema.optional(Schema.Struct({ cached_tokens: Schema.optional(Schema.Int) })),
        completion_tokens_details: Schema.optional(Schema.Struct({ reasoning_tokens: Schema.optional(Schema.Int) }))
      })
    )
  )
})
type Completion = typeof Completion.Type
const decodeEvent = Schema.decodeUnknownEffect(Schema.fromJsonString(Completion))

const read = (response: HttpClientResponse.HttpClientResponse, method: string) =>
  response.text.pipe(
    Effect.mapError((error) => failed(error, method)),
    Effect.flatMap((text) =>
      Effect.mapError(decodeEvent(text), (error) =>
        AiError.make({ module, method, reason: AiError.InvalidOutputError.fromSchemaError(error) })
      )
    )
  )

const failed = (error: HttpClientError.HttpClientError, method: string): AiError.AiError => {
  const { reason } = error
  const status = "response" in reason ? reason.response.status : undefined
  if (status !== undefined && status >= 400) {
    const http = { request: requestOf(reason.request), response: { status, headers: {} } }
    return AiError.make({ module, method, reason: AiError.reasonFromHttpStatus({ status, http }) })
  }
  return AiError.make({
    module,
    method,
    reason: new AiError.NetworkError({
      reason: reason._tag === "EncodeError" || reason._tag === "InvalidUrlError" ? reason._tag : "TransportError",
      ...requestOf(reason.request),
      cause: error
    })
  })
}

const requestOf = ({ method, url }: HttpClientRequest.HttpClientRequest) => ({
  ...{ method, url, urlParams: [], headers: {} },
  hash: undefined
})

const module = "OpenAiCompatible"

const finish = (reason: string | null | undefined, usage: Completion["usage"]): Response.FinishPartEncoded => ({
  type: "finish",
  reason:
    reason === "tool_calls" ? "tool-calls" : reason === "length" ? "length" : reason === "stop" ? "stop" : "unknown",
  usage: {
    inputTokens: {
      total: usage?.prompt_tokens,
      uncached: undefined,
      cacheRead: usage?.prompt_tokens_details?.cached_tokens,
      cacheWrite: undefined
    },
    outputTokens: {
      total: usage?.completion_tokens,
      text: undefined,
      reasoning: usage?.completion_tokens_details?.reasoning_tokens
    }
  },
  response: undefined
})

const toolCall = (
  id: string,
  called: { readonly name?: string | undefined; readonly arguments?: string | undefined }
) => ({
  type: "tool-call" as const,
  id,
  name: called.name ?? "",
  params: parsed(called.arguments ?? "")
})

const parsed = (text: string): unknown => {
  try {
    return Tool.unsafeSecureJsonParse(text === "" ? "{}" : text)
  } catch {
    return text
  }
}

const tools = ({ toolChoice, tools }: LanguageModel.ProviderOptions) =>
  tools.length === 0
    ? {}
    : {
        tools: tools.map((tool) => ({
          type: "function",
          function: { name: tool.name, description: tool.description, parameters: Tool.getJsonSchema(tool) }
        })),
        tool_choice:
          typeof toolChoice === "string"
            ? toolChoice
            : "tool" in toolChoice
              ? { type: "function", function: { name: toolChoice.tool } }
              : (toolChoice.mode ?? "auto")
      }

const format = ({ responseFormat }: LanguageModel.ProviderOptions) =>
  responseFormat.type === "text"
    ? {}
    : {
        response_format: {
          type: "json_schema",
          json_schema: { name: responseFormat.objectName, schema: Tool.getJsonSchemaFromSchema(responseFormat.schema) }
        }
      }

const messages = (message: Prompt.Message): ReadonlyArray<object> => {
  if (message.role === "system") return [{ role: "system", content: message.content }]
  const text = message.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("")
  if (message.role === "user") return [{ role: "user", content: text }]
  if (message.role === "tool") {
    return message.content.flatMap((part) =>
      part.type === "tool-result"
        ? [{ role: "tool", tool_call_id: part.id, content: JSON.stringify(part.result) ?? "null" }]
        : []
    )
  }
  const calls = message.content.flatMap((part) =>
    part.type === "tool-call"
      ? [{ id: part.id, type: "function", function: { name: part.name, arguments: JSON.stringify(part.params) } }]
      : []
  )
  return [{ role: "assistant", content: text, ...(calls.length === 0 ? {} : { tool_calls: calls }) }]
}
