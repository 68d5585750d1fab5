/** A time span: milliseconds, or text such as `"5 seconds"`. */
export type Time = number | `${number} ${Unit}`

type Unit = "milli" | "millis" | "second" | "seconds" | "minute" | "minutes" | "hour" | "hours" | "day" | "days"

/** What a call of a tool, an API or a language model has in common. */
export interface AnyCall {
  readonly agentId: string
  readonly sessionId?: string | undefined
  /** What the call is made with: plain JSON. It is hashed for the log and for loop detection, and shown to whoever approves. */
  readonly input?: unknown
  /** Plain JSON that goes into the audit row of the attempt. */
  readonly metadata?: unknown
  /** The prompt that the call is made with, as `prompts.use` gives it. */
  readonly prompt?: { readonly name: string; readonly version: string } | undefined
  /** Your own name for this call: repeated with the same key it is the same request for approval. */
  readonly callKey?: string | undefined
  readonly approval?: Approval | undefined
}

export interface ToolCall extends AnyCall {
  readonly tool: string
  /** What it costs at most, in dollars. */
  readonly maxUsd?: number | string | undefined
}

export interface ApiCall extends AnyCall {
  readonly api: string
  /** What it costs at most, in dollars. */
  readonly maxUsd?: number | string | undefined
}

export interface ModelCall extends AnyCall {
  readonly model: string
  readonly provider?: string | undefined
  /** The name that scope policies know the call by; `llm.call` by default. */
  readonly llm?: string | undefined
  /** Counted by a tokenizer; else the length of `input` is taken for an estimate on the safe side. */
  readonly inputTokens?: number | undefined
  readonly maxTokens?: number | undefined
}

/** A call, as `governed` is told of it. */
export type Call = ToolCall | ApiCall | ModelCall

/** What happens where a person has to approve the call. */
export interface Approval {
  /** False rejects with `ApprovalPending` at once instead of waiting. Default true. */
  readonly wait?: boolean | undefined
  /** How long to wait at most. Default: as long as the request is open. */
  readonly timeout?: Time | undefined
  /** The id of a request whose grant this call uses, instead of the one that its arguments lead to. */
  readonly request?: string | undefined
  /** True asks for approval whatever the policy says. */
  readonly required?: boolean | undefined
}

/** What a provider says a call has used. Classes that it does not report are left out. */
export interface Usage {
  readonly model: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens?: number
  readonly cacheWriteTokens?: number
  /** Part of `cacheWriteTokens`: written to stay for an hour, which costs more. */
  readonly cacheWrite1hTokens?: number
  readonly reasoningTokens?: number
}

/** What a call has really cost: a provider's usage, or dollars. */
export type Spending =
  | { readonly usage: Usage; readonly provider?: string }
  | { readonly usd: number | string; readonly tokens?: number; readonly model?: string }

/** Permission for one call, while it runs. */
export interface Ticket {
  readonly id: string
  readonly agentId: string
  readonly sessionId: string | null
  /** Aborts when the agent is halted, when the caller gives up, and when governance closes. Hand it to `fetch` and the like. */
  readonly signal: AbortSignal
  /** Says what the call has used so far. The last report counts; without one, what was held is charged. */
  readonly report: (spending: Spending) => void
}
