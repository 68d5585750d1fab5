import type { AuditRecord } from "./AuditRecord.ts"
import { attemptKinds } from "./CallRow.ts"
import { providerOf } from "./GenAiProvider.ts"
import { type Redactor, redacted } from "./Redaction.ts"

export type AttributeValue = string | number | boolean
export type Attributes = Readonly<Record<string, AttributeValue>>

/** An audit row as OpenTelemetry tells it: nothing of it that a caller chose has not passed the redactor (OTL-02). */
export interface RowSpan {
  readonly name: string
  readonly kind: "client" | "internal"
  readonly attributes: Attributes
  /** Set where the row says that something was refused or failed. */
  readonly error: { readonly type: string; readonly message: string } | null
}

/**
 * Names of the OpenTelemetry semantic conventions for generative AI (1.45, in development), and `governance.*` where they have
 * none. What a call was made with and what it returned is never among them: audit rows hold hashes of it only.
 */
export const rowSpan = (record: AuditRecord, redactor: Redactor, withMetadata: boolean): RowSpan => {
  const facts = factsOf(record.metadata)
  const say = (text: string) => short(redactor.text(text))
  const said = (name: string) => {
    const value = facts(name)
    return typeof value === "string" && value !== "" ? say(value) : undefined
  }
  const operation = operationOf(record.kind, record.model, facts("name"))
  const name = said("name")
  const model = record.model === null ? undefined : say(record.model)
  const ofModel = operation === "chat" || operation === "embeddings"
  const target = ofModel ? model : name
  const error = errorOf(said("refused"), said("error"), said("result"), said("reason"), record.kind)
  const usage = factsOf(facts("usage"))
  const prompt = factsOf(facts("prompt"))
  const attributes: Record<string, AttributeValue | undefined> = {
    "gen_ai.operation.name": operation === "api" || operation === null ? undefined : operation,
    "gen_ai.provider.name": ofModel ? providerOf(textOf(facts("provider")), record.model) : undefined,
    "gen_ai.request.model": model,
    "gen_ai.response.model": said("model"),
    "gen_ai.usage.input_tokens": countOf(usage("inputTokens")),
    "gen_ai.usage.output_tokens": countOf(usage("outputTokens")),
    "gen_ai.usage.cache_read.input_tokens": countOf(usage("cachedInputTokens")),
    "gen_ai.usage.cache_creation.input_tokens": countOf(usage("cacheWriteTokens")),
    "gen_ai.usage.reasoning.output_tokens": countOf(usage("reasoningTokens")),
    "gen_ai.agent.id": say(record.agentId),
    "gen_ai.conversation.id": record.sessionId === null ? undefined : say(record.sessionId),
    "gen_ai.tool.name": operation === "execute_tool" ? name : undefined,
    "gen_ai.tool.type": operation === "execute_tool" ? "function" : undefined,
    "error.type": error?.type,
    "governance.event.id": record.id,
    "governance.event.kind": say(record.kind),
    "governance.event.seq": record.seq,
    "governance.event.parent": record.parentEventId ?? undefined,
    "governance.event.status": record.status === "stored" ? undefined : record.status,
    "governance.call.id": uuidOf(facts("ticket")),
    "governance.api.name": operation === "api" ? name : undefined,
    "governance.decision": decisionOf(record.kind, facts("refused")),
    "governance.result": said("result"),
    "governance.reason": said("reason"),
    "governance.cost.usd": usdOf(facts("usd")),
    "governance.tokens": countOf(facts("tokens")),
    "governance.late": facts("late") === true ? true : undefined,
    "governance.loop.count": countOf(facts("count")),
    "governance.gate.id": record.kind.startsWith("approval.") ? uuidOf(facts("request")) : undefined,
    "governance.gate.action": record.kind.startsWith("approval.") ? said("action") : undefined,
    "governance.prompt.name": optional(prompt("name"), say),
    "governance.prompt.version": optional(prompt("version"), say),
    "governance.metadata": withMetadata
      ? JSON.stringify(redactor.json(record.metadata)).slice(0, longestJson)
      : undefined
  }
  return {
    name: operation === null || target === undefined ? say(record.kind) : `${operation} ${target}`,
    kind: operation === null ? "internal" : "client",
    attributes: defined(attributes),
    error
  }
}

/** Kinds of rows that one process writes about its own calls; all others may be written by any process, and by commands. */
export const isAttempt = (kind: string): boolean => attempts.has(kind)
/** Whether the row ends its attempt. A loop that is only logged, and a post-condition, come besides. */
export const isOutcome = ({ kind, metadata, parentEventId }: AuditRecord): boolean => {
  if (parentEventId === null || isAttempt(kind) || kind === "contract.post_violation") return false
  return kind === "loop.detected" ? factsOf(metadata)("refused") !== undefined : isCallKind(kind)
}
export const isCallKind = (kind: string): boolean => operations.has(kind) || refusals.has(kind)

type Operation = "chat" | "embeddings" | "execute_tool" | "api"

const attempts: ReadonlySet<string> = new Set(Object.values(attemptKinds))
const operations: ReadonlyMap<string, Operation> = new Map([
  ["llm.call", "chat"],
  ["llm.result", "chat"],
  ["tool.call", "execute_tool"],
  ["tool.result", "execute_tool"],
  ["api.call", "api"],
  ["api.result", "api"]
])
const refusals: ReadonlySet<string> = new Set([
  "scope.violation",
  "budget.exceeded",
  "model.unknown",
  "loop.detected",
  "call.refused",
  "contract.pre_violation",
  "contract.post_violation"
])

/** Refused calls of models and tools are told apart by the model: only those have one. Wrappers name what they call. */
const operationOf = (kind: string, model: string | null, name: unknown): Operation | null => {
  const operation = operations.get(kind) ?? (refusals.has(kind) ? (model === null ? "execute_tool" : "chat") : null)
  return operation === "chat" && typeof name === "string" && /embed/i.test(name) ? "embeddings" : operation
}

const decisionOf = (kind: string, refused: unknown): string | undefined => {
  if (kind.startsWith("approval.")) return kind.slice("approval.".length).slice(0, 32)
  if (kind === "contract.post_violation") return "violated"
  if (typeof refused === "string" || (refusals.has(kind) && kind !== "loop.detected")) return "refused"
  if (kind === "loop.detected") return "logged"
  if (kind === "agent.halted") return "halted"
  if (kind === "agent.restored") return "restored"
  return operations.has(kind) ? "allowed" : undefined
}

const errorOf = (
  refused: string | undefined,
  error: string | undefined,
  result: string | undefined,
  reason: string | undefined,
  kind: string
): RowSpan["error"] => {
  const type = refused ?? error ?? (result === "halted" ? "AgentHaltedError" : undefined)
  if (type !== undefined) return { type, message: reason ?? type }
  return refusals.has(kind) && kind !== "loop.detected" ? { type: kind, message: reason ?? kind } : null
}

/** What any text of a row may take of a collector's room. */
const longestShown = 512
const longestJson = 16_384
const short = (text: string) => (text.length > longestShown ? `${text.slice(0, longestShown)}…` : text)

const factsOf =
  (value: unknown) =>
  (name: string): unknown =>
    typeof value === "object" && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)
const optional = (value: unknown, say: (text: string) => string) => (typeof value === "string" ? say(value) : undefined)
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const uuidOf = (value: unknown): string | undefined =>
  typeof value !== "string" ? undefined : uuid.test(value) ? value : redacted

const countOf = (value: unknown): number | undefined => {
  const count = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value
  return typeof count === "number" && Number.isSafeInteger(count) && count >= 0 ? count : undefined
}

const usdOf = (value: unknown): number | undefined =>
  typeof value === "string" && /^\d{1,12}(?:\.\d{1,12})?$/.test(value) ? Number(value) : undefined

const defined = (attributes: Record<string, AttributeValue | undefined>): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).flatMap(
      ([key, value]): Array<[string, AttributeValue]> => (value === undefined ? [] : [[key, value]])
    )
  )
