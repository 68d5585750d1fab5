import { BaseCallbackHandler } from "@langchain/core/callbacks/base"
import { Effect } from "effect"
import { Audit } from "../services/Audit.ts"
import { Cost } from "../services/Cost.ts"
import { failed } from "./CallEnd.ts"
import { promise } from "./Host.ts"
import { bodyOf, langChain, usageOf } from "./LangChainCall.ts"
import { refuseHiddenTools } from "./LangChainTools.ts"
import { begin, type LiveCall } from "./LiveCall.ts"
import type { ReportedUsage } from "./Meter.ts"
import { type GovernOptions, open } from "./ModelCall.ts"
import type { Body } from "./Provider.ts"
import { eventOf, items, record, utf8Length } from "./Reading.ts"
import { register } from "./Registration.ts"

export interface HandlerOptions extends GovernOptions {
  /** True puts every model call and every tool behind all rooms. False only writes down what happened and never throws. */
  readonly enforce: boolean
}

type Messages = Parameters<typeof bodyOf>[0]

/**
 * Governance as a callback handler, for chains whose models are out of reach of `govern` (WRP-07). A handler sees a call, it
 * cannot change it: hidden tools are refused rather than left out, and a halt stops the next call, not the running one.
 */
export class GovernanceCallbackHandler extends BaseCallbackHandler {
  readonly name = "GovernanceCallbackHandler"
  readonly #options: HandlerOptions & { readonly sessionId: string }
  readonly #calls = new Map<string, LiveCall>()
  readonly #models = new Map<string, string>()

  constructor(options: HandlerOptions) {
    // Errors of a handler are only printed unless it says so, and the call would go through.
    super({ raiseError: options.enforce, _awaitHandler: true })
    this.awaitHandlers = true
    this.#options = { ...options, sessionId: options.sessionId ?? crypto.randomUUID() }
    register(options.governance, "langchain")
  }

  override async handleChatModelStart(
    _model: unknown,
    messages: ReadonlyArray<Messages>,
    runId: string,
    _parent?: string,
    extra?: Record<string, unknown>,
    _tags?: ReadonlyArray<string>,
    metadata?: Record<string, unknown>
  ): Promise<void> {
    const tools = items(record(extra?.options).tools ?? record(extra?.invocation_params).tools)
    const body = bodyOf(messages[0] ?? [], { tools }, record(extra?.invocation_params), metadata ?? {})
    await this.#start(body, runId, metadata)
  }

  /** Models that take a plain text. */
  override async handleLLMStart(
    _model: unknown,
    prompts: ReadonlyArray<string>,
    runId: string,
    _parent?: string,
    extra?: Record<string, unknown>,
    _tags?: ReadonlyArray<string>,
    metadata?: Record<string, unknown>
  ): Promise<void> {
    const body = { ...bodyOf([], {}, record(extra?.invocation_params), metadata ?? {}), messages: prompts }
    await this.#start(body, runId, metadata)
  }

  override handleLLMNewToken(token: string, _index: unknown, runId: string): void {
    const live = this.#calls.get(runId)
    live?.meter.part(utf8Length(token))
    // Whoever breaks out of a stream tells nobody: no further token for a lease's time ends the call.
    live?.idle(true)
  }

  override async handleLLMEnd(output: unknown, runId: string): Promise<void> {
    const usage = usageIn(record(output))
    const live = this.#take(runId)
    if (live !== undefined) {
      if (usage !== undefined) live.meter.report(usage, true)
      return live.settle({ _tag: "Completed" })
    }
    if (!this.#options.enforce) await this.#observed(this.#models.get(runId) ?? "unknown", usage)
    this.#models.delete(runId)
  }

  override async handleLLMError(error: unknown, runId: string): Promise<void> {
    this.#models.delete(runId)
    const live = this.#take(runId)
    if (live !== undefined) await failed(live, error)
  }

  override async handleToolStart(
    tool: unknown,
    input: string,
    runId: string,
    _parent?: string,
    _tags?: ReadonlyArray<string>,
    _metadata?: Record<string, unknown>,
    runName?: string,
    toolCallId?: string
  ): Promise<void> {
    if (!this.#options.enforce) return
    const { agentId, approval, governance: host, metadata, sessionId } = this.#options
    const name = runName ?? String(record(tool).name ?? record(record(tool).kwargs).name ?? "unknown")
    const call = { agentId, sessionId, tool: name, input: eventOf(input), callKey: toolCallId, approval, metadata }
    this.#calls.set(runId, await begin({ host, call }))
  }

  override async handleToolEnd(output: unknown, runId: string): Promise<void> {
    await this.#take(runId)?.settle({ _tag: "Completed", result: record(output).content ?? output })
  }

  override async handleToolError(error: unknown, runId: string): Promise<void> {
    await this.#take(runId)?.settle({ _tag: "Broken", error })
  }

  async #start(body: Body, runId: string, metadata: Body | undefined): Promise<void> {
    const { agentId, enforce, governance } = this.#options
    if (!enforce) return void this.#models.set(runId, String(body.model))
    await promise(governance, refuseHiddenTools(agentId, langChain.request(body).tools))
    const provider = { name: String(metadata?.ls_provider ?? "unknown") }
    const { live } = await open({ ...this.#options, wire: langChain, routes: false, provider, body })
    this.#calls.set(runId, live)
  }

  #take(runId: string): LiveCall | undefined {
    const live = this.#calls.get(runId)
    this.#calls.delete(runId)
    return live
  }

  /** What was used, counted and written down; a model without a price counts its tokens (CST-14). */
  async #observed(model: string, usage: ReportedUsage | undefined): Promise<void> {
    const { agentId, governance, sessionId } = this.#options
    const inputTokens = usage?.inputTokens ?? 0
    const outputTokens = usage?.outputTokens ?? 0
    const known = { ...usage, model: usage?.model ?? model, inputTokens, outputTokens }
    const counted = Cost.use((cost) =>
      Effect.catchTag(cost.trackUsage(agentId, sessionId, known), "UnknownModelError", () =>
        cost.track(agentId, sessionId, { tokens: inputTokens + outputTokens, usd: 0, model: known.model })
      )
    )
    const written = Audit.use((audit) =>
      audit.log({
        kind: "llm.observed",
        agentId,
        sessionId,
        model: known.model,
        metadata: { inputTokens, outputTokens }
      })
    )
    await promise(governance, Effect.andThen(Effect.ignore(counted), Effect.ignore(written)))
  }
}

const usageIn = (output: Body): ReportedUsage | undefined => {
  const generations: unknown = output.generations
  const first: unknown = Array.isArray(generations) && Array.isArray(generations[0]) ? generations[0][0] : undefined
  const said = usageOf(record(record(first).message))
  if (said !== undefined) return said
  const { completionTokens, promptTokens } = record(record(output.llmOutput).tokenUsage)
  return usageOf({ usage_metadata: { input_tokens: promptTokens, output_tokens: completionTokens } })
}
