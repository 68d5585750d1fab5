import { Cause, Duration, Effect, Exit, type Fiber } from "effect"
import type { CallOptions } from "../schema/CallPlan.ts"
import type { AgentId, SessionId, TicketId } from "../schema/Ids.ts"
import { NanoUsd } from "../schema/Money.ts"
import { Coverage } from "../services/Coverage.ts"
import { Governor, type Spending, type Ticket } from "../services/Governor.ts"
import { Settings } from "../services/Settings.ts"
import type { Host } from "./Host.ts"
import { Meter } from "./Meter.ts"

/** How a call that foreign code makes has ended. The first word counts. */
export type End =
  /** The reply is there, or its stream came to its end. */
  | { readonly _tag: "Completed"; readonly result?: unknown }
  /** The provider refused or nothing was sent: it costs nothing. */
  | { readonly _tag: "Released"; readonly error: unknown }
  /** It broke, was aborted or dropped: what was seen of it is charged, and if nothing was, all that was held. */
  | { readonly _tag: "Broken"; readonly error: unknown }
  /** It went on beyond what was declared: all that was held is charged. */
  | { readonly _tag: "Cut"; readonly error: unknown }

/** One admitted call of foreign code: open until `settle`, a halt, or a lease's time in which nobody reads its stream. */
export interface LiveCall {
  readonly id: TicketId
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  readonly meter: Meter
  /** Aborts when the agent is halted or the call is given up; its reason is the error. Hand it to the provider's request. */
  readonly signal: AbortSignal
  readonly isSettled: boolean
  /** Sends a request of this call, and counts it as governed (BEY-13). */
  readonly send: <A>(url: string, run: () => Promise<A>) => Promise<A>
  /** Runs what may send requests of this call, where their addresses are not known. */
  readonly enclose: <A>(run: () => A) => A
  /** True while the consumer has the turn: a stream that nobody reads for a lease's time is given up (BEY-01). */
  readonly idle: (is: boolean) => void
  /** Money and outcome, once; further calls return the first's promise. Rejects only when a post-condition withholds the result. */
  readonly settle: (end: End) => Promise<void>
}

export interface LiveCallOptions {
  readonly host: Host
  readonly call: CallOptions
  /** Gives up waiting, for an approval for instance. Once the call is admitted its owner has to settle it. */
  readonly signal?: AbortSignal | null | undefined
  readonly provider?: string | undefined
}

/** Passes all rooms and stays open. Rejects with the refusal itself, or with the signal's reason. */
export const begin = ({ host, call, provider, signal }: LiveCallOptions): Promise<LiveCall> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    let live: Live | undefined
    // The call may be admitted before `run` returns.
    let fiber: Fiber.Fiber<unknown, unknown> | undefined
    const giveUp = () => fiber?.interruptUnsafe()
    const admitted = Effect.gen(function* () {
      const governor = yield* Governor
      const coverage = yield* Coverage
      const { defaultMaxTokens, leaseDuration } = yield* Settings
      return yield* governor.run(call, (ticket) =>
        Effect.callback<unknown, unknown>((resume) => {
          signal?.removeEventListener("abort", giveUp)
          live = new Live({
            host,
            coverage,
            call,
            provider,
            ticket,
            defaultMaxTokens,
            leaseMs: Duration.toMillis(leaseDuration),
            resume
          })
          resolve(live)
          return Effect.suspend(() => live?.interrupted() ?? Effect.void)
        })
      )
    })
    fiber = host.run(admitted)
    if (live === undefined) signal?.addEventListener("abort", giveUp, { once: true })
    fiber.addObserver((exit) => {
      signal?.removeEventListener("abort", giveUp)
      if (live !== undefined) return live.finished(exit)
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      reject(signal?.aborted === true ? signal.reason : error)
    })
  })

interface Opened {
  readonly host: Host
  readonly coverage: Coverage["Service"]
  readonly call: CallOptions
  readonly provider: string | undefined
  readonly ticket: Ticket
  readonly leaseMs: number
  readonly defaultMaxTokens: number | null
  readonly resume: (effect: Effect.Effect<unknown, unknown>) => void
}

class Live implements LiveCall {
  readonly id: TicketId
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  readonly meter: Meter
  readonly #from: Opened
  readonly #controller = new AbortController()
  readonly #done = Promise.withResolvers<void>()
  readonly #unwatch: () => void
  #settled = false
  #idleSince: number | undefined
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(from: Opened) {
    const { call, ticket } = from
    this.id = ticket.id
    this.agentId = ticket.agentId
    this.sessionId = ticket.sessionId
    const { inputTokens = 0, maxTokens, model = "" } = "model" in call ? call : {}
    this.meter = new Meter(model, inputTokens, maxTokens ?? from.defaultMaxTokens ?? undefined)
    this.#from = from
    this.#unwatch = ticket.watchHalt((error) => this.#controller.abort(error))
    // Whoever does not look at how a call ended must not bring the process down.
    this.#done.promise.catch(() => {})
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get isSettled(): boolean {
    return this.#settled
  }

  send<A>(url: string, run: () => Promise<A>): Promise<A> {
    return this.#from.coverage.send(url, run)
  }

  enclose<A>(run: () => A): A {
    return this.#from.coverage.enclose(() => !this.#settled, run)
  }

  idle(is: boolean): void {
    this.#idleSince = is && !this.#settled ? performance.now() : undefined
    if (!is || this.#settled || this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#giveUpWhenIdle(), Math.max(10, this.#from.leaseMs / 4))
    this.#timer.unref()
  }

  settle(end: End): Promise<void> {
    if (this.#settled) return this.#done.promise
    this.#close()
    const spending = this.#spendingOf(end)
    if (end._tag === "Broken" || end._tag === "Cut") this.#controller.abort(end.error)
    const exit = end._tag === "Completed" ? Effect.succeed(end.result) : Effect.fail(end.error)
    this.#from.resume(spending === undefined ? exit : Effect.andThen(this.#from.ticket.report(spending), exit))
    return this.#done.promise
  }

  /** The pipeline ends the call: a halt, or the end of the services. */
  interrupted(): Effect.Effect<void> {
    if (this.#settled) return Effect.void
    this.#close()
    const spending = this.#spendingOf({ _tag: "Broken", error: undefined })
    if (!this.#controller.signal.aborted) this.#controller.abort()
    return spending === undefined ? Effect.void : this.#from.ticket.report(spending)
  }

  finished(exit: Exit.Exit<unknown, unknown>): void {
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    const isWithheld =
      typeof error === "object" && error !== null && "_tag" in error && error._tag === "ContractViolation"
    if (isWithheld) this.#done.reject(error)
    else this.#done.resolve()
  }

  #close(): void {
    this.#settled = true
    this.#unwatch()
    clearInterval(this.#timer)
  }

  #spendingOf(end: End): Spending | undefined {
    if (end._tag === "Released") return { usd: NanoUsd.make(0n) }
    if (end._tag === "Cut") return undefined
    const usage = end._tag === "Completed" ? this.meter.exact : this.meter.best
    const { provider } = this.#from
    return usage === undefined ? undefined : { usage, ...(provider === undefined ? {} : { provider }) }
  }

  #giveUpWhenIdle(): void {
    if (this.#idleSince === undefined || performance.now() - this.#idleSince < this.#from.leaseMs) return
    const { host, leaseMs } = this.#from
    const facts = { agent: this.agentId, ticket: this.id }
    host.run(Effect.logWarning("governance.stream.abandoned_without_reconcile", facts))
    void this.settle({ _tag: "Broken", error: new Error(`nobody has read this stream for ${leaseMs} ms`) })
  }
}
