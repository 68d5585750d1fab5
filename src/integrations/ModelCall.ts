import { Effect } from "effect"
import type { ApprovalOptions, CallOptions } from "../schema/CallPlan.ts"
import { estimateInputTokens } from "../schema/Pricing.ts"
import { Routing } from "../services/Routing.ts"
import { callInput } from "./CallInput.ts"
import { type Host, promise } from "./Host.ts"
import { begin, type LiveCall } from "./LiveCall.ts"
import type { Body, ModelRequest, Provider, Wire } from "./Provider.ts"
import { passUngoverned } from "./Ungoverned.ts"
import { visibleTools } from "./VisibleTools.ts"

/** For whom a client is governed. */
export interface GovernOptions {
  /** The Promise facade, or what `Host.make` gives an Effect program. */
  readonly governance: Host
  readonly agentId: string
  /** One random session for each client where none is given (WRP-03). */
  readonly sessionId?: string | undefined
  /** Plain JSON for the audit row of every attempt. */
  readonly metadata?: unknown
  /** What happens where a person has to approve a call to a model, or a tool that the client itself runs. */
  readonly approval?: ApprovalOptions | undefined
  /** Addresses that may be used although they are not governed, such as `POST /batches`; their cost is in no budget. */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Counts a request's input tokens; without it the length of its text is taken for an estimate on the high side. */
  readonly estimateInput?: ((body: Body) => number) | undefined
}

export interface ModelCallOptions<W extends RequestWire = Wire> extends GovernOptions {
  readonly sessionId: string
  readonly provider: Pick<Provider, "name">
  readonly wire: W
  readonly body: Body
  readonly signal?: AbortSignal | null | undefined
  /** False where the caller cannot be made to use another model than the one it has (ROU-02). Default true. */
  readonly routes?: boolean | undefined
}

/** What `open` needs to know of a provider: how its requests are read and written. */
export type RequestWire = Pick<Wire, "llm" | "request" | "rewrite">

/** An admitted call to a model, and what is to be sent for it. */
export interface ModelCall<W extends RequestWire = Wire> {
  readonly live: LiveCall
  readonly wire: W
  readonly body: Body
  /** The body as it is sent. */
  readonly text: string
  readonly hidesUsage: boolean
}

/** All rooms for one request: hides tools, holds the worst case, waits for a person where one is asked. Sends nothing. */
export const open = async <W extends RequestWire>(options: ModelCallOptions<W>): Promise<ModelCall<W>> => {
  const { agentId, governance: host, provider, signal, wire } = options
  const asked = wire.request(options.body)
  if (asked.surcharge !== undefined) await passUngoverned(options, asked.surcharge, signal)
  const { model, tools } = await promise(host, prepared(options, asked), signal)
  const visible = new Set(tools)
  const { body, hidesUsage } = wire.rewrite(options.body, {
    model,
    isVisible: (tool) => visible.has(tool)
  })
  const text = JSON.stringify(body)
  const call: CallOptions = {
    agentId,
    sessionId: options.sessionId,
    model,
    provider: provider.name,
    llm: wire.llm,
    inputTokens: options.estimateInput?.(body) ?? estimateInputTokens(text),
    maxTokens: asked.maxTokens,
    input: callInput(body, text, asked.tools),
    metadata: options.metadata,
    approval: options.approval
  }
  return { live: await begin({ host, call, provider: provider.name, signal }), wire, body, text, hidesUsage }
}

/** The tools that the model gets to see (SCP-06; with the scope module off all of them), and the model that routing chose. */
const prepared = Effect.fnUntraced(function* (options: ModelCallOptions<RequestWire>, { model, tools }: ModelRequest) {
  const { agentId, provider, routes = true, sessionId } = options
  const routing = yield* Routing
  return {
    tools: yield* visibleTools(agentId, tools),
    model: routes ? yield* routing.suggest({ agentId, sessionId, model, provider: provider.name }) : model
  }
})
