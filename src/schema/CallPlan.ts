import { type Duration, Option, Result, Schema } from "effect"
import type { ScopeTarget } from "./AgentScope.ts"
import { canonicalize } from "./CanonicalJson.ts"
import { escape, type SealMark } from "./Escape.ts"
import { flatText } from "./FlatText.ts"
import { Identifier } from "./Identifier.ts"
import { AgentId, agentChain, type ChainId, SessionId, sessionChain } from "./Ids.ts"
import { InvalidInput } from "./InvalidInput.ts"
import { snapshot, snapshotMarked } from "./Json.ts"
import { Marked } from "./Marked.ts"
import { estimateInputTokens } from "./Pricing.ts"
import { PromptName, type PromptUse, PromptVersion } from "./Prompt.ts"
import { remembered } from "./Remembered.ts"

interface CommonOptions {
  readonly agentId: string
  readonly sessionId?: string | undefined
  /**
   * What the call is made with: plain JSON, hashed for the audit row and for loop detection; stored only where a person is
   * asked. Values marked with `sealed(subject, value)` are hashed under their subject's key (BEY-12).
   */
  readonly input?: unknown
  /** Plain JSON that goes into the audit row of the attempt. */
  readonly metadata?: unknown
  /** The prompt template that the call is made with, as `Prompts.use` gives it: it goes into the same row (V8-10). */
  readonly prompt?: { readonly name: string; readonly version: string } | undefined
  /** The caller's own name for this call: a repeated call with the same key is the same request for approval (DEC-21). */
  readonly callKey?: string | undefined
  /** What happens where a person has to approve the call. */
  readonly approval?: ApprovalOptions | undefined
}

export interface ApprovalOptions {
  /** False fails with `ApprovalPending` at once instead of waiting (GAT-04). Default true. */
  readonly wait?: boolean | undefined
  /** How long to wait at most; the request may end sooner. Default: as long as the request is open. */
  readonly timeout?: Duration.Input | undefined
  /** A request whose grant this call uses, by its id, instead of the one that its arguments lead to. */
  readonly request?: string | undefined
  /** True asks for approval whatever the policy says. */
  readonly required?: boolean | undefined
}

/** A call of a tool, an API or a language model, as a program describes it to `governed`. */
export type CallOptions =
  | (CommonOptions & {
      readonly tool: string
      /** What the tool itself costs at most, in dollars. */
      readonly maxUsd?: number | string | undefined
    })
  | (CommonOptions & { readonly api: string; readonly maxUsd?: number | string | undefined })
  | (CommonOptions & {
      readonly model: string
      readonly provider?: string | undefined
      /** The sentinel name of the call for scope policies; `llm.call` unless a wrapper says more (OQ-08). */
      readonly llm?: string | undefined
      /** Counted by a tokenizer; without it the length of `input` is taken for an estimate on the safe side. */
      readonly inputTokens?: number | undefined
      readonly maxTokens?: number | undefined
    })

/** A call as the rooms see it: decoded, with one snapshot of its input. */
export interface CallPlan {
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  readonly chain: ChainId
  readonly target: ScopeTarget
  /** SHA-256 of the target and the canonical input, in hex: what loop detection and approvals compare. */
  readonly signature: string
  readonly inputHash: string | null
  /** For a model: the caller's count, or an estimate from the input's text on the safe side. */
  readonly inputTokens: number
  readonly metadata: unknown
  readonly prompt: PromptUse | undefined
}

/** Decodes a call once. `hash` is SHA-256 to hex; `marks` stands in for marked values, which are refused without it. */
export const planOf = (
  options: CallOptions,
  hash: (text: string) => string,
  marks?: SealMark
): Result.Result<CallPlan, InvalidInput> => {
  const agentId = agents(options.agentId)
  if (agentId === undefined) return invalid("agentId")
  const sessionId = options.sessionId === undefined ? null : sessions(options.sessionId)
  if (sessionId === undefined) return invalid("sessionId")
  const target = targetOf(options)
  if (Result.isFailure(target)) return Result.fail(target.failure)
  const chain = sessionId === null ? agentChains(agentId) : sessionChains(sessionId)
  const { metadata } = options
  const prompt = options.prompt === undefined ? undefined : Option.getOrNull(decodePrompt(options.prompt))
  if (prompt === null)
    return Result.fail(new InvalidInput({ field: "prompt", problem: "must have a name and a version" }))
  if (options.input === undefined) {
    const inputTokens = "model" in options ? (options.inputTokens ?? estimateInputTokens("")) : 0
    const signature = bareSignature(target.success, hash)
    return Result.succeed({
      agentId,
      sessionId,
      chain,
      target: target.success,
      signature,
      inputHash: null,
      inputTokens,
      metadata,
      prompt
    })
  }
  return Result.map(canonicalOf(options.input, marks), (input) => ({
    agentId,
    sessionId,
    chain,
    target: target.success,
    signature: hash(targetText(target.success) + input),
    inputHash: hash(input),
    inputTokens:
      "model" in options ? (options.inputTokens ?? estimateInputTokens(saidIn(options.input, input, marks))) : 0,
    metadata,
    prompt
  }))
}

/** SHA-256 of a value in canonical form, or null where it is no plain JSON: results may be anything. */
export const hashOfResult = (value: unknown, hash: (text: string) => string): string | null =>
  value === undefined ? null : Result.getOrElse(Result.map(canonicalOf(value), hash), () => null)

const canonicalOf = (value: unknown, marks?: SealMark): Result.Result<string, InvalidInput> => {
  const flat = flatText(value)
  if (flat !== undefined) return Result.succeed(flat)
  return Result.mapBoth(marks === undefined ? snapshot(value) : snapshotMarked(value), {
    onSuccess: (json) => canonicalize(escape(json, marks)),
    onFailure: (error) => new InvalidInput({ field: "input", problem: error.message })
  })
}

/** What the model is told, for the estimate of its tokens: the plain values, however they are hashed. Kept nowhere. */
const saidIn = (value: unknown, input: string, marks: SealMark | undefined): string =>
  marks === undefined ? input : Result.getOrElse(canonicalOf(value, plain), () => input)

const plain: SealMark = (marked) => escape(Marked.reveal(marked))

const memoised = <K extends string, A>(make: (key: K) => A) => {
  const known = new Map<K, A>()
  return (key: K): A => {
    const hit = known.get(key)
    if (hit !== undefined) return hit
    if (known.size >= 10_000) known.clear()
    const made = make(key)
    known.set(key, made)
    return made
  }
}

const agentChains = memoised(agentChain)
const sessionChains = memoised(sessionChain)
const agents = remembered(Schema.decodeUnknownOption(AgentId))
const sessions = remembered(Schema.decodeUnknownOption(SessionId))
const names = remembered(Schema.decodeUnknownOption(Identifier(512)))

/** A copy of what counts: `Prompts.use` gives the text too. */
const decodePrompt = Schema.decodeUnknownOption(Schema.Struct({ name: PromptName, version: PromptVersion }))

const invalid = (field: string) =>
  Result.fail(new InvalidInput({ field, problem: "must be a name of 1 to 256 visible characters" }))

const targetOf = (options: CallOptions): Result.Result<ScopeTarget, InvalidInput> => {
  if ("tool" in options) {
    const name = names(options.tool)
    return name === undefined ? invalid("tool") : Result.succeed({ kind: "tool", name })
  }
  if ("api" in options) {
    const name = names(options.api)
    return name === undefined ? invalid("api") : Result.succeed({ kind: "api", name })
  }
  const model = names(options.model)
  const name = names(options.llm ?? "llm.call")
  if (model === undefined) return invalid("model")
  return name === undefined ? invalid("llm") : Result.succeed({ kind: "llm", name, model })
}

const targetText = ({ kind, name }: ScopeTarget) => `${kind}\n${name}\n`
const signatures = new Map<string, string>()
const bareSignature = (target: ScopeTarget, hash: (text: string) => string): string => {
  const text = targetText(target)
  const hit = signatures.get(text)
  if (hit !== undefined) return hit
  if (signatures.size >= 10_000) signatures.clear()
  const signature = hash(text)
  signatures.set(text, signature)
  return signature
}
