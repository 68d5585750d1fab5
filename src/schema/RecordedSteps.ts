import { Option } from "effect"
import type { Usage } from "./Call.ts"
import { estimateInputTokens } from "./Pricing.ts"
import {
  argumentsOf,
  momentOf,
  type RecordedMessage,
  type RecordedSession,
  type RecordedUsage,
  textOf
} from "./Recording.ts"

/** One thing that a recorded agent did: it asked its model, or it called a tool. */
export type RecordedStep =
  | {
      readonly kind: "llm"
      /** The position of the message in its session, from 0. */
      readonly message: number
      readonly atMs: number
      readonly usage: Usage
      /** True when the recording has no usage, so that tokens were counted from the text, on the high side. */
      readonly estimated: boolean
      readonly text: string
    }
  | {
      readonly kind: "tool"
      readonly message: number
      readonly atMs: number
      readonly id: string | null
      readonly tool: string
      readonly input: unknown
      /** The arguments were no JSON; they are judged as the text that they are. */
      readonly brokenArguments: boolean
      /** What the tool answered; undefined where the recording ends before. */
      readonly result: string | undefined
    }

export interface SessionTimeline {
  readonly steps: ReadonlyArray<RecordedStep>
  readonly startMs: number
  /** The first moment after the session. */
  readonly endMs: number
  /** Replies of a model that nobody named: they cannot be priced, so they are no steps. */
  readonly unnamedModel: number
}

/**
 * A session as the calls that were made in it. A message without a time is one second after the one before; time never runs
 * backwards. Input tokens of a reply are those of the whole conversation before it, as chat APIs are billed.
 */
export const timelineOf = (session: RecordedSession, startMs: number, fallbackModel?: string): SessionTimeline => {
  const { messages } = session
  const first = Option.orElse(momentOf(session), () =>
    messages[0] === undefined ? Option.none() : momentOf(messages[0])
  )
  const begin = Option.getOrElse(first, () => startMs)
  const steps: Array<RecordedStep> = []
  let now = begin - second
  let before = 0
  let unnamedModel = 0
  messages.forEach((message, at) => {
    now = Math.max(
      now,
      Option.getOrElse(momentOf(message), () => now + second)
    )
    const text = textOf(message.content)
    const tokens = estimateInputTokens(text + callsText(message))
    if (message.role === "assistant") {
      const model = named(message.model) ?? named(session.model) ?? fallbackModel
      if (model === undefined) unnamedModel += 1
      else steps.push({ kind: "llm", message: at, atMs: now, text, ...usageOf(message.usage, model, before, tokens) })
      const toolCalls = message.tool_calls ?? []
      const resultOf = toolCalls.length === 0 ? nothing : resultsAfter(messages, at)
      for (const [n, call] of toolCalls.entries()) {
        const input = argumentsOf(call.function.arguments)
        steps.push({
          kind: "tool",
          message: at,
          atMs: now,
          id: call.id ?? null,
          tool: call.function.name,
          input: input.value,
          brokenArguments: input.broken,
          result: resultOf(n, call.id ?? undefined)
        })
      }
    }
    before += tokens
  })
  return { steps, startMs: begin, endMs: Math.max(now, begin) + second, unnamedModel }
}

const second = 1000

const named = (model: string | null | undefined) => (model === null || model === "" ? undefined : model)

const callsText = (message: RecordedMessage): string =>
  (message.tool_calls ?? []).map((call) => call.function.name + textOf(call.function.arguments)).join("")

const nothing = () => undefined

/** Answers follow their calls: the one at the call's place, unless another has the call's id. Ids repeat in real recordings. */
const resultsAfter = (messages: ReadonlyArray<RecordedMessage>, at: number) => {
  const answers: Array<RecordedMessage> = []
  const byId = new Map<string, RecordedMessage>()
  for (let i = at + 1; messages[i]?.role === "tool"; i++) {
    const answer = messages[i]!
    const id = answer.tool_call_id ?? undefined
    answers.push(answer)
    if (id !== undefined && !byId.has(id)) byId.set(id, answer)
  }
  return (place: number, id: string | undefined): string | undefined => {
    const inPlace = answers[place]
    const found = id === undefined || inPlace?.tool_call_id === id ? inPlace : (byId.get(id) ?? inPlace)
    return found === undefined ? undefined : textOf(found.content)
  }
}

const usageOf = (
  usage: RecordedUsage | null | undefined,
  model: string,
  inputEstimate: number,
  outputEstimate: number
): { readonly usage: Usage; readonly estimated: boolean } => {
  const input = usage?.prompt_tokens ?? usage?.input_tokens
  const output = usage?.completion_tokens ?? usage?.output_tokens
  if (input === undefined || output === undefined) {
    return { usage: { model, inputTokens: inputEstimate, outputTokens: outputEstimate }, estimated: true }
  }
  // Parts are never more than their whole, whatever a recorder wrote.
  const cachedInputTokens = Math.min(usage?.prompt_tokens_details?.cached_tokens ?? 0, input)
  const reasoningTokens = Math.min(usage?.completion_tokens_details?.reasoning_tokens ?? 0, output)
  return {
    usage: { model, inputTokens: input, outputTokens: output, cachedInputTokens, reasoningTokens },
    estimated: false
  }
}
