import { Cause, Effect, Exit, Option } from "effect"
import { AiError, type Response } from "effect/ai"
import type { AgentId, SessionId, TicketId } from "../schema/Ids.ts"
import { NanoUsd } from "../schema/Money.ts"
import { DeclaredMaximumExceeded } from "../schema/WrappedCallError.ts"
import type { Coverage } from "../services/Coverage.ts"
import type { Spending, Ticket } from "../services/Governor.ts"
import { neverSent } from "./CallEnd.ts"
import type { End, LiveCall } from "./LiveCall.ts"
import { Meter, type ReportedUsage } from "./Meter.ts"
import { count, utf8Length } from "./Reading.ts"

export interface ModelCallFacts {
  readonly model: string
  readonly provider: string | undefined
  readonly inputTokens: number
  readonly maxTokens: number
}

/**
 * A model call that an Effect scope settles. A governed fetch below it joins: what it meters goes before what the framework
 * reports, since it has seen the provider's own bytes.
 */
export class FiberModelCall implements LiveCall {
  readonly id: TicketId
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  /** For a governed fetch below. */
  readonly meter: Meter
  readonly #provider: string | undefined
  readonly #seen: Meter
  readonly #controller = new AbortController()
  readonly #unwatch: () => void
  #isFinished = false
  #isCut = false
  #settled = false

  readonly #coverage: Coverage["Service"]

  constructor(
    ticket: Ticket,
    { inputTokens, maxTokens, model, provider }: ModelCallFacts,
    coverage: Coverage["Service"]
  ) {
    this.#coverage = coverage
    this.id = ticket.id
    this.agentId = ticket.agentId
    this.sessionId = ticket.sessionId
    this.meter = new Meter(model, inputTokens, maxTokens)
    this.#seen = new Meter(model, inputTokens, maxTokens)
    this.#provider = provider
    this.#unwatch = ticket.watchHalt((error) => this.#controller.abort(error))
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get isSettled(): boolean {
    return this.#settled
  }

  send<A>(url: string, run: () => Promise<A>): Promise<A> {
    return this.#coverage.send(url, run)
  }

  enclose<A>(run: () => A): A {
    return this.#coverage.enclose(() => !this.#settled, run)
  }

  /** The scope knows when nobody reads any more. */
  idle(): void {}

  /** The scope settles; what a fetch below has to say of the end is only that more came than was declared. */
  settle(end: End): Promise<void> {
    if (end._tag === "Cut") this.#isCut = true
    return Promise.resolve()
  }

  /** Counts what the framework shows of the answer. */
  parts(parts: ReadonlyArray<Response.AnyPart>): void {
    for (const part of parts) {
      if (part.type === "finish") this.reported(reportedUsage(part.usage))
      else if ("delta" in part) this.#seen.part(utf8Length(part.delta))
      else if (part.type === "text" || part.type === "reasoning") this.#seen.part(utf8Length(part.text))
    }
  }

  /** The answer is complete, and this is what the framework says it took. */
  reported(usage: ReportedUsage): void {
    this.#isFinished = true
    this.#seen.report(usage, true)
  }

  /** `parts` for a stream: fails where more came than was declared, which charges all that was held (BEY-07). */
  part(part: Response.AnyPart): Effect.Effect<void, DeclaredMaximumExceeded> {
    return Effect.suspend(() => {
      this.parts([part])
      const { maxTokens = 0, model } = this.meter
      if (!this.#seen.isOver || this.#isFinished) return Effect.void
      this.#isCut = true
      return Effect.fail(new DeclaredMaximumExceeded({ agentId: this.agentId, model, maxTokens }))
    })
  }

  /** Nothing below may use this call any more. Returns what it has cost; undefined charges all that was held. */
  close(exit: Exit.Exit<unknown, unknown>): Spending | undefined {
    this.#settled = true
    this.#unwatch()
    if (Exit.isFailure(exit) && !this.signal.aborted) this.#controller.abort()
    if (this.#isCut) return undefined
    const exact = this.meter.exact ?? this.#seen.exact
    const best = this.meter.best ?? this.#seen.best
    // Usage that a complete answer does not report is no reason to guess below what was held.
    const usage = Exit.isSuccess(exit) && this.#isFinished ? exact : (exact ?? best)
    if (usage !== undefined) return { usage, ...(this.#provider === undefined ? {} : { provider: this.#provider }) }
    const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
    return isRejected(error) || neverSent(error) ? { usd: NanoUsd.make(0n) } : undefined
  }
}

/** `inputTokens` and `outputTokens` in the normal form of `Usage`; absent where the provider does not say. */
const reportedUsage = ({ inputTokens, outputTokens }: Response.Usage): ReportedUsage => {
  const said: Record<keyof Omit<ReportedUsage, "model" | "cacheWrite1hTokens">, number | undefined> = {
    inputTokens: count(inputTokens.total) ?? sum(inputTokens.uncached, inputTokens.cacheRead, inputTokens.cacheWrite),
    outputTokens: count(outputTokens.total) ?? sum(outputTokens.text, outputTokens.reasoning),
    cachedInputTokens: count(inputTokens.cacheRead),
    cacheWriteTokens: count(inputTokens.cacheWrite),
    reasoningTokens: count(outputTokens.reasoning)
  }
  return Object.fromEntries(Object.entries(said).filter(([, tokens]) => tokens !== undefined))
}

const sum = (...parts: ReadonlyArray<number | undefined>): number | undefined => {
  const said = parts.map(count).filter((part) => part !== undefined)
  return said.length === 0 ? undefined : said.reduce((all, part) => all + part)
}

/** The provider answered that it did nothing, or was never asked. A broken network says neither. */
const isRejected = (error: unknown): boolean => {
  if (!AiError.isAiError(error)) return false
  const { reason } = error
  const status = "http" in reason ? reason.http?.response?.status : undefined
  return status === undefined ? unsent.has(reason._tag) : status >= 400
}

const unsent: ReadonlySet<AiError.AiErrorReason["_tag"]> = new Set<AiError.AiErrorReason["_tag"]>([
  "RateLimitError",
  "QuotaExhaustedError",
  "AuthenticationError",
  "InvalidRequestError",
  "InvalidUserInputError",
  "ToolConfigurationError"
])
