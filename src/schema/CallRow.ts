import type { Usage } from "./Call.ts"
import type { CallPlan } from "./CallPlan.ts"
import { canonicalize } from "./CanonicalJson.ts"
import type { AuditDraft } from "./Envelope.ts"
import { escape } from "./Escape.ts"
import { normaliseIdentifier } from "./Identifier.ts"
import { type EventId, eventOfTicket, type TicketId } from "./Ids.ts"
import { formatUsd, type NanoUsd } from "./Money.ts"

/** How a governed call ended, as its outcome event tells it. */
export interface Outcome {
  readonly result: "completed" | "failed" | "halted" | "interrupted"
  readonly error: string | null
  readonly usd: NanoUsd
  readonly tokens: bigint
  readonly model: string | null
  readonly resultHash: string | null
  /** The lease had ended before: this replaces what the sweep assumed. */
  readonly late: boolean
  /** What the provider said was used, and who that was; null where nobody said. */
  readonly usage: Usage | null
  readonly provider: string | null
}

/**
 * A row of a governed call, made for every call and read by few: a log in memory seals its rows when somebody looks, so the
 * text is rendered then, always the same. `outcome` is null for the attempt.
 */
export class CallRow implements AuditDraft {
  readonly id: EventId
  readonly atMs: number
  private readonly plan: CallPlan
  private readonly ticket: TicketId
  private readonly outcome: Outcome | null

  constructor(plan: CallPlan, ticket: TicketId, outcome: Outcome | null, atMs: number) {
    this.id = eventOfTicket(ticket, outcome === null ? "attempt" : "outcome")
    this.atMs = atMs
    this.plan = plan
    this.ticket = ticket
    this.outcome = outcome
  }

  get chain() {
    return this.plan.chain
  }
  get agent() {
    return this.plan.agentId
  }
  get session() {
    return this.plan.sessionId
  }
  get parent() {
    return this.outcome === null ? null : eventOfTicket(this.ticket, "attempt")
  }
  get kind() {
    return this.outcome === null ? attemptKinds[this.plan.target.kind] : outcomeKinds[this.plan.target.kind]
  }
  get model() {
    return this.plan.target.kind === "llm" ? this.plan.target.model : null
  }
  get inputHash() {
    return this.plan.inputHash
  }
  get outputHash() {
    return this.outcome === null ? null : this.outcome.resultHash
  }
  get metadataText() {
    const name = quote(this.plan.target.name)
    if (this.outcome === null) return `{"name":${name},${promptMember(this.plan.prompt)}"ticket":"${this.ticket}"}`
    const { error, late, result, tokens, usage, usd } = this.outcome
    if (usage !== null) return this.usageText(this.outcome, usage)
    return (
      `{${error === null ? "" : `"error":${quote(error)},`}${late ? '"late":true,' : ""}"name":${name},` +
      `"result":"${result}","ticket":"${this.ticket}","tokens":"${tokens}","usd":"${formatUsd(usd).slice(1)}"}`
    )
  }

  /** The same with the members `model` (of the reply), `provider` and `usage`. */
  private usageText({ error, late, provider, result, tokens, usd }: Outcome, usage: Usage): string {
    return canonicalize(
      escape({
        ...(error === null ? {} : { error }),
        ...(late ? { late } : {}),
        model: told(usage.model),
        name: this.plan.target.name,
        ...(provider === null ? {} : { provider: told(provider) }),
        result,
        ticket: this.ticket,
        tokens: `${tokens}`,
        usage: countsOf(usage),
        usd: formatUsd(usd).slice(1)
      })
    )
  }
}

// A reply comes from outside: its words are made identifiers, and what is no count is left out.
const told = (text: string) => normaliseIdentifier(`${text}`).slice(0, 128).toWellFormed()
const countsOf = (usage: Usage) =>
  Object.fromEntries(
    usageClasses.flatMap((name): Array<[string, number]> => {
      const count = usage[name]
      return count !== undefined && Number.isSafeInteger(count) && count >= 0 ? [[name, count]] : []
    })
  )
const usageClasses = [
  "inputTokens",
  "outputTokens",
  "cachedInputTokens",
  "cacheWriteTokens",
  "cacheWrite1hTokens",
  "reasoningTokens"
] as const

export const attemptKinds = { tool: "tool.call", api: "api.call", llm: "llm.call" } as const
const outcomeKinds = { tool: "tool.result", api: "api.result", llm: "llm.result" } as const

const promptMember = (prompt: CallPlan["prompt"]) =>
  prompt === undefined ? "" : `"prompt":{"name":${quote(prompt.name)},"version":"${prompt.version}"},`

// Names and error tags are normalised and well formed: JSON.stringify then writes what RFC 8785 prescribes.
const quote = (text: string) => JSON.stringify(text)
