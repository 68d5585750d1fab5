import { AsyncLocalStorage } from "node:async_hooks"
import { neverSent, toldOf } from "./CallEnd.ts"
import { within } from "./CurrentCall.ts"
import type { End, LiveCall } from "./LiveCall.ts"
import { isStream, metered } from "./MeteredResponse.ts"
import type { ModelCall } from "./ModelCall.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { Wire } from "./Provider.ts"

type Fetch = typeof globalThis.fetch

/** How a call is watched whose first answer need not end it, such as work in the background. */
export type Adopt = (call: ModelCall) => { readonly live: LiveCall; readonly wire: Wire }

/** One call of a program through an SDK that tries again by itself: admitted once and settled once, however many requests it takes. */
export class LogicalCall {
  #call: ModelCall | undefined
  #wasLost = false
  #isAnswered = false
  #isReplaced = false
  #isRefused = false
  #asked: string | undefined
  #said: Promise<void> | undefined
  /** Set when nothing more may be sent: by a halt, or because the result is withheld. */
  #stopped: { readonly error: unknown } | undefined
  readonly #stop = Promise.withResolvers<never>()

  /** The call that the running code is an attempt of. */
  static current(): LogicalCall | undefined {
    return storage.getStore()
  }

  /** True for the call of a client, as against that of a framework above it. */
  static began(live: LiveCall): boolean {
    return begun.has(live)
  }

  /** Runs all attempts. A halt rejects at once, also while the SDK waits before it tries again. */
  static async run<A>(attempts: () => Promise<A>): Promise<A> {
    const call = new LogicalCall()
    call.#stop.promise.catch(() => {})
    try {
      const result = await Promise.race([storage.run(call, attempts), call.#stop.promise])
      // An answer that came past our fetch says nothing of its cost: what was held is charged.
      await call.#over(
        call.#isReplaced || call.#isRefused ? { _tag: "Released", error: undefined } : { _tag: "Completed" }
      )
      return result
    } catch (error) {
      await call.#over({ _tag: call.#wasLost ? "Broken" : "Released", error })
      throw call.#stopped === undefined ? error : call.#stopped.error
    }
  }

  /** False: this request is no other attempt at what was asked for first, but another call. */
  isAttempt(asked: string | undefined): boolean {
    this.#asked ??= asked
    return !this.#isAnswered && this.#asked === asked
  }

  /** What the first attempt was admitted with. Rejects when the call has been stopped meanwhile. */
  async admitted(open: () => Promise<ModelCall>): Promise<ModelCall> {
    if (this.#stopped !== undefined) throw this.#stopped.error
    if (this.#call !== undefined) return this.#call
    const call = await open()
    const { signal } = call.live
    const halted = () => this.#stopBy(signal.reason)
    if (signal.aborted) halted()
    signal.addEventListener("abort", halted, { once: true })
    begun.add(call.live)
    this.#call = call
    return call
  }

  /** For what is said once of a call, however many attempts it takes. */
  once(say: () => Promise<void>): Promise<void> {
    this.#said ??= say()
    return this.#said
  }

  /** True once that was said without an objection: what objects ends the call. */
  get hasPassed(): boolean {
    return this.#said !== undefined
  }

  /** The call, where it may still send something. */
  get open(): ModelCall | undefined {
    return this.#call === undefined || this.#call.live.isSettled || this.#isAnswered ? undefined : this.#call
  }

  /** What is sent instead is admitted by itself. */
  replaced(): void {
    this.#isReplaced = true
  }

  /** False: what is about to be sent is not what was admitted, so it has to be admitted by itself. */
  covers({ body, text: sent, wire }: ModelCall, text: string | undefined): boolean {
    if (text === undefined || text === sent) return text !== undefined
    const asked = requestOf(wire.request, text)
    const admitted = wire.request(body)
    return (
      asked !== undefined &&
      asked.model === admitted.model &&
      asked.surcharge?.path === admitted.surcharge?.path &&
      (asked.maxTokens ?? Number.POSITIVE_INFINITY) <= (admitted.maxTokens ?? Number.POSITIVE_INFINITY) &&
      asked.tools.every((tool) => admitted.tools.includes(tool))
    )
  }

  /** Sends one attempt. Answers that the SDK may try again after settle nothing: `run` does, when the SDK is through. */
  async send(fetch: Fetch, request: Outgoing, call: ModelCall, adopt: Adopt): Promise<Response> {
    const { live, hidesUsage } = call
    if (this.#stopped !== undefined) throw this.#stopped.error
    const signals = [live.signal, ...(request.signal == null ? [] : [request.signal])]
    let response: Response
    try {
      response = await live.send(request.url, () => within(live, () => request.send(fetch, AbortSignal.any(signals))))
    } catch (error) {
      if (!neverSent(error)) this.#wasLost = true
      throw toldOf(live, error)
    }
    this.#isRefused = !response.ok
    if (!response.ok) return response
    const streams = isStream(response)
    if (this.#wasLost) live.meter.lost()
    if (streams) this.#isAnswered = true
    const adopted = adopt(call)
    const attempt = this.#attempt(adopted.live, streams)
    return metered(response, { live: attempt, wire: adopted.wire, hidesUsage, owns: true, signal: request.signal })
  }

  /** A body that breaks off is an attempt that failed, not the end; a withheld result must not look like a broken network. */
  #attempt(live: LiveCall, streams: boolean): LiveCall {
    if (streams) return live
    const settle = async (end: End) => {
      if (end._tag === "Broken") {
        this.#wasLost = true
        return
      }
      this.#isAnswered = true
      try {
        await live.settle(end)
      } catch (error) {
        this.#stopBy(error)
        throw error
      }
    }
    return overriding(live, { settle })
  }

  #stopBy(error: unknown): void {
    this.#stopped ??= { error }
    this.#stop.reject(error)
  }

  async #over(end: End): Promise<void> {
    const live = this.#call?.live
    if (live === undefined || live.isSettled || this.#isAnswered || this.#stopped !== undefined) return
    await live.settle(end)
  }
}

/** The same call with another end or meter. A copy would not do: what it says of itself changes while it runs. */
export const overriding = (live: LiveCall, over: Partial<LiveCall>): LiveCall => ({
  id: live.id,
  agentId: live.agentId,
  sessionId: live.sessionId,
  meter: over.meter ?? live.meter,
  signal: live.signal,
  get isSettled() {
    return live.isSettled
  },
  send: (url, run) => live.send(url, run),
  enclose: (run) => live.enclose(run),
  idle: over.idle ?? ((is) => live.idle(is)),
  settle: over.settle ?? ((end) => live.settle(end))
})

const begun = new WeakSet<LiveCall>()
const storage = new AsyncLocalStorage<LogicalCall>()

const requestOf = <A>(read: (body: { readonly [key: string]: unknown }) => A, text: string): A | undefined => {
  try {
    return read(JSON.parse(text))
  } catch {
    return undefined
  }
}
