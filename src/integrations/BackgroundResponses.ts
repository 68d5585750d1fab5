import type { LiveCall } from "./LiveCall.ts"
import { overriding } from "./LogicalCall.ts"
import { Meter } from "./Meter.ts"
import { metered } from "./MeteredResponse.ts"
import type { ModelCall } from "./ModelCall.ts"
import { responses } from "./OpenAiResponses.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { Body, Wire } from "./Provider.ts"
import { eventOf, record } from "./Reading.ts"

/**
 * Responses that the provider works on after it has answered (`background: true`). Such a call stays open, and its hold in force,
 * until a later `retrieve` or `cancel` through the same client says what it cost; after `patienceMs` without that, all that was
 * held is charged. A halt charges the same and asks the provider to stop.
 */
export class BackgroundResponses {
  readonly #open = new Map<string, { readonly live: LiveCall; readonly timer: ReturnType<typeof setTimeout> }>()
  readonly #patienceMs: number
  readonly #cancel: (id: string) => void

  constructor(patienceMs: number, cancel: (id: string) => void) {
    this.#patienceMs = patienceMs
    this.#cancel = cancel
  }

  /** A call whose first answer, or whose first stream, does not end it, where the request asked for that. */
  adopt = ({ body, live, wire }: ModelCall): { readonly live: LiveCall; readonly wire: Wire } => {
    if (body.background !== true) return { live, wire }
    let id: string | undefined
    const began = (response: Body) => {
      if (id !== undefined || typeof response.id !== "string") return
      id = response.id
      this.#keep(id, live)
    }
    const open = overriding(live, {
      // Nobody has to read a stream that can be picked up again.
      idle: () => {},
      settle: async (end) => {
        const reply = end._tag === "Completed" ? record(end.result) : {}
        if (isRunning(reply)) return began(reply)
        if (end._tag === "Broken" && id !== undefined && !live.signal.aborted) return
        if (id !== undefined) this.#forget(id)
        await live.settle(end._tag === "Broken" ? { ...end, _tag: "Cut" } : end)
      }
    })
    const event: Wire["event"] = (data) => {
      began(record(eventOf(data).response))
      return wire.event(data)
    }
    return { live: open, wire: body.stream === true ? { ...wire, event } : wire }
  }

  /** Watches a later answer about a response that is still open. */
  observed = async (request: Outgoing, response: Response): Promise<Response> => {
    const id = /\/responses\/([^/]+)(?:\/cancel)?$/.exec(request.path)?.[1]
    const kept = id === undefined ? undefined : this.#open.get(id)
    if (id === undefined || kept === undefined || !response.ok) return response
    const { live } = kept
    // What streams again was counted when it streamed first.
    const meter = new Meter(live.meter.model, 0, undefined)
    const watching = overriding(live, {
      meter,
      idle: () => {},
      settle: async (end) => {
        if (end._tag !== "Completed" || (end.result !== undefined && isRunning(record(end.result)))) return
        const usage = meter.exact
        if (usage === undefined && end.result === undefined) return
        if (usage !== undefined) live.meter.report(usage, true)
        this.#forget(id)
        await live.settle(end)
      }
    })
    return metered(response, { live: watching, wire: responses, hidesUsage: false, owns: true, signal: null })
  }

  #keep(id: string, live: LiveCall): void {
    const impatient = () => {
      this.#forget(id)
      const error = new Error(`nobody has retrieved background response ${id} for ${this.#patienceMs} ms`)
      void live.settle({ _tag: "Cut", error })
    }
    const timer = setTimeout(impatient, this.#patienceMs)
    timer.unref()
    this.#open.set(id, { live, timer })
    const halted = () => {
      if (!this.#forget(id) || live.isSettled) return
      this.#cancel(id)
    }
    live.signal.addEventListener("abort", halted, { once: true })
  }

  #forget(id: string): boolean {
    clearTimeout(this.#open.get(id)?.timer)
    return this.#open.delete(id)
  }
}

const isRunning = ({ status }: Body): boolean => status === "queued" || status === "in_progress"
