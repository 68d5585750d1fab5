import type { Model } from "@openai/agents"
import { isGovernanceError, isHaltError } from "../schema/GovernanceError.ts"
import { broken, failed, keepToMaximum } from "./CallEnd.ts"
import { current, within } from "./CurrentCall.ts"
import type { LiveCall } from "./LiveCall.ts"
import { type GovernOptions, open, type RequestWire } from "./ModelCall.ts"
import {
  bodyOf,
  classesOf,
  type ModelRequest,
  mostTokens,
  toolNames,
  usageOf,
  wireOf,
  withTools
} from "./OpenAiAgentsWire.ts"
import type { Wire } from "./Provider.ts"
import { record, utf8Length } from "./Reading.ts"
import { surchargeOf } from "./Surcharge.ts"
import { ungoverned } from "./Ungoverned.ts"

export interface OpenAiAgentsOptions extends GovernOptions {
  /** The price book's name of the provider, where the models are not OpenAI's. */
  readonly provider?: string | undefined
}

export type Who = OpenAiAgentsOptions & { readonly sessionId: string }

type StreamEvent = ReturnType<Model["getStreamedResponse"]> extends AsyncIterable<infer Event> ? Event : never

/** A model of one name, of which every answer is one governed call. */
export class GovernedModel implements Model {
  readonly supportsPromptModelSelection?: boolean
  readonly #who: Who
  readonly #model: Model
  readonly #name: string
  readonly #wire: Wire | undefined
  readonly #remake: ((name: string) => Promise<Model>) | undefined

  /** `remake` makes the model of another name, for routing; absent for a model that comes from no provider (ROU-02). */
  constructor(who: Who, model: Model, name: string, remake?: (name: string) => Promise<Model>) {
    this.#who = who
    this.#model = model
    this.#name = name
    this.#remake = remake
    const classes = classesOf(model)
    this.#wire = wireOf(classes)
    if (model.supportsPromptModelSelection !== undefined) {
      this.supportsPromptModelSelection = model.supportsPromptModelSelection
    }
    if (classes.has("OpenAIResponsesWSModel")) throw refused(who, "WebSocket", name)
  }

  async getResponse(request: ModelRequest) {
    if (current(this.#who.agentId) !== undefined) return this.#model.getResponse(request)
    const { chosen, live, sent } = await this.#opened(request)
    let response: Awaited<ReturnType<Model["getResponse"]>>
    try {
      response = await within(live, () => chosen.getResponse(sent))
    } catch (error) {
      throw await failed(live, error)
    }
    const usage = usageOf(response)
    if (usage !== undefined) live.meter.report(usage, true)
    // Before the reply reaches the caller, so that the next check sees what this call cost.
    await live.settle({ _tag: "Completed", result: response.output })
    return response
  }

  async *getStreamedResponse(request: ModelRequest): AsyncGenerator<StreamEvent, void, undefined> {
    if (current(this.#who.agentId) !== undefined) return yield* this.#model.getStreamedResponse(request)
    const { chosen, live, sent } = await this.#opened(request)
    const events = within(live, () => chosen.getStreamedResponse(sent)[Symbol.asyncIterator]())
    let isBegun = false
    try {
      for (;;) {
        const { done, value } = await unlessAborted(live, () => within(live, () => events.next()))
        if (done === true) break
        isBegun = true
        await this.#seen(live, value)
        live.idle(true)
        yield value
        live.idle(false)
      }
      await live.settle({ _tag: "Completed" })
    } catch (error) {
      throw isBegun ? await broken(live, error) : await failed(live, error)
    } finally {
      // Left by `break`: this is the only place that hears of it.
      if (!live.isSettled) await live.settle({ _tag: "Broken", error: new Error("the stream was dropped") })
      void events.return?.()?.catch(() => {})
    }
  }

  getRetryAdvice(asked: Parameters<NonNullable<Model["getRetryAdvice"]>>[0]) {
    // What governance has refused is refused again.
    if (isGovernanceError(asked.error) || isHaltError(asked.error))
      return { suggested: false, replaySafety: "unsafe" as const }
    return this.#model.getRetryAdvice?.(asked)
  }

  async #opened(request: ModelRequest) {
    const [who, name] = [this.#who, this.#name]
    // A stored prompt brings a model of its own, and nobody here knows which.
    if (
      request.prompt !== undefined &&
      request.overridePromptModel !== true &&
      who.allow?.includes("prompt") !== true
    ) {
      throw refused(who, "prompt", request.prompt.promptId)
    }
    let sent = request
    let routed = name
    const provider = who.provider ?? "openai"
    const wire: RequestWire = {
      llm: this.#wire?.llm ?? `llm.${provider}`,
      request: () => ({
        model: name,
        maxTokens: mostTokens(request),
        stream: false,
        tools: toolNames(request),
        surcharge: surchargeOf(record(request.modelSettings.providerData))
      }),
      rewrite: (_, { isVisible, model }) => {
        sent = withTools(request, isVisible)
        routed = model
        return { body: bodyOf(model, sent), hidesUsage: false }
      }
    }
    const { signal } = request
    const remake = this.#remake
    const asked = { ...who, provider: { name: provider }, wire, body: bodyOf(name, request) }
    const { live } = await open({ ...asked, routes: remake !== undefined, signal })
    let chosen = this.#model
    try {
      if (routed !== name && remake !== undefined) chosen = await remake(routed)
    } catch (error) {
      await live.settle({ _tag: "Released", error })
      throw error
    }
    const both = signal === undefined ? live.signal : AbortSignal.any([live.signal, signal])
    return { chosen, live, sent: { ...sent, signal: both } }
  }

  async #seen(live: LiveCall, event: StreamEvent): Promise<void> {
    if (event.type === "response_done") {
      const usage = usageOf(event.response)
      if (usage !== undefined) live.meter.report(usage, true)
      return live.settle({ _tag: "Completed", result: event.response.output })
    }
    if (live.meter.countedBelow) return
    if (this.#wire === undefined) {
      if (event.type === "output_text_delta") live.meter.part(utf8Length(event.delta))
    } else if (event.type === "model") {
      const { bytes = 0, usage } = this.#wire.event(JSON.stringify(event.event))
      live.meter.part(bytes)
      if (usage !== undefined) live.meter.report(usage, false)
    }
    await keepToMaximum(live)
  }
}

const refused = ({ agentId, provider = "openai" }: Who, method: string, path: string) =>
  ungoverned({ agentId, provider: { name: provider } }, { method, path })

/** A provider that does not look at its signal is left behind. */
const unlessAborted = <A>(live: LiveCall, next: () => Promise<A>): Promise<A> => {
  if (live.isSettled) return next()
  return new Promise((resolve, reject) => {
    const abort = () => reject(live.signal.reason)
    if (live.signal.aborted) return abort()
    live.signal.addEventListener("abort", abort, { once: true })
    next()
      .then(resolve, reject)
      .finally(() => live.signal.removeEventListener("abort", abort))
  })
}
