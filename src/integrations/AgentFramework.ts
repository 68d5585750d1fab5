import { Effect } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { Audit } from "../services/Audit.ts"
import { type Host, promise } from "./Host.ts"
import { record } from "./Reading.ts"
import { register, warnGoverned } from "./Registration.ts"
import { type ToolOptions, useTool } from "./Tool.ts"

export interface AgentOptions extends Omit<ToolOptions, "tool" | "callKey" | "signal"> {
  /** The name that scope, loop and gate policies know a run by. Default `agent.run`. */
  readonly tool?: string | undefined
}

/** Anything that runs: no framework is needed to wrap it. */
export interface RunsAgent {
  run(input: never, ...rest: ReadonlyArray<never>): Promise<unknown>
}

/**
 * Puts every `run` of an agent behind all rooms, in place, and returns the same agent (WRP-08). Its own model calls and tools
 * are further calls: wrap those too. Throws `ConfigurationError` for an agent whose `run` is no async function.
 */
export const wrapAgtAgent = <A extends RunsAgent>(agent: A, options: AgentOptions): A => {
  const { governance, tool = "agent.run", ...who } = options
  const { run } = agent
  if (wrapped.has(agent)) {
    warnGoverned(governance, "agent-framework")
    return agent
  }
  if (Object.prototype.toString.call(run) !== "[object AsyncFunction]") {
    const problem = "must have an async method run: one that blocks cannot be stopped by a halt or wait for a person"
    throw new ConfigurationError({ setting: "agent", problem })
  }
  wrapped.add(agent)
  register(governance, "agent-framework")
  const sessionId = who.sessionId ?? crypto.randomUUID()
  const governed = (input: unknown, ...rest: ReadonlyArray<unknown>) =>
    useTool({ ...who, governance, tool, sessionId }, input, (approved) =>
      // The method's own signature: it gets what was approved in the place of what was given.
      run.call(agent, approved as never, ...(rest as ReadonlyArray<never>))
    )
  return Object.assign(agent, { run: governed })
}

const wrapped = new WeakSet<object>()

/**
 * Takes over the spans of a framework's own tracing as audit events: `tool_call`, `llm_call` and `hitl_approval`. What it reports
 * is evidence of what the framework said, not of what was governed; it decides and charges nothing (WRP-08).
 */
export class AgtBridge {
  readonly #options: { readonly governance: Host; readonly agentId: string; readonly sessionId?: string | undefined }

  constructor(options: {
    readonly governance: Host
    readonly agentId: string
    readonly sessionId?: string | undefined
  }) {
    this.#options = options
  }

  /** Never rejects. A span of any other kind is logged and left out. */
  consume(span: unknown): Promise<void> {
    const { agentId, governance, sessionId } = this.#options
    const { kind: spanKind, model, ...metadata } = record(span)
    const kind = kindOf(String(spanKind), metadata.outcome)
    if (kind === undefined) {
      const shown = String(spanKind).slice(0, 64)
      return promise(governance, Effect.logWarning("agent_framework.unknown_span", { agent: agentId, kind: shown }))
    }
    const event = {
      kind,
      agentId,
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(typeof model === "string" ? { model } : {}),
      metadata: { ...metadata, source: "agent-framework" }
    }
    const written = Audit.use((audit) => audit.log(event))
    return promise(governance, Effect.ignore(written))
  }
}

/** Kinds of their own: what a framework says of an approval must not count as a decision of a gate. */
const kindOf = (kind: string, outcome: unknown): string | undefined => {
  if (kind === "tool_call" || kind === "llm_call") return `framework.${kind}`
  if (kind !== "hitl_approval") return undefined
  return outcome === "granted" || outcome === "denied"
    ? `framework.approval_${outcome}`
    : "framework.approval_requested"
}
