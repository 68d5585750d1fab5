import { Effect, Option, Schema } from "effect"
import { AgentKeyUnusable } from "../../schema/AgentKeyError.ts"
import { ContractViolation } from "../../schema/Contract.ts"
import type { AgentId, SessionId } from "../../schema/Ids.ts"
import { zeroUsd } from "../../schema/Money.ts"
import { type PolicyKind, policyCodecs } from "../../schema/Policy.ts"
import type { PolicyEntry } from "../../schema/PolicyFileText.ts"
import type { RecordedStep, SessionTimeline } from "../../schema/RecordedSteps.ts"
import type { ReplayedCall } from "../../schema/ReplayReport.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { Governor, type Refusal } from "../../services/Governor.ts"
import { Policies } from "../../services/Policies.ts"
import { Pricing } from "../../services/Pricing.ts"

/** Whose calls these are. */
export interface Who {
  readonly agentId: AgentId
  readonly sessionId: SessionId
}

/**
 * Asks the real enforcement about every call of a session, in order and at the recorded times. A refused call costs nothing
 * and the recording goes on; an allowed one answers with what it answered then.
 */
export const replaySession = Effect.fnUntraced(function* (
  who: Who,
  timeline: SessionTimeline,
  setTime: (ms: number) => void
) {
  const calls: Array<ReplayedCall> = []
  for (const step of timeline.steps) {
    setTime(step.atMs)
    calls.push(yield* step.kind === "llm" ? askModel(who, step) : callTool(who, step))
  }
  setTime(timeline.endMs)
  return calls
})

/** Puts the policies of an agent in force: its own, and those of `*` where it has none of that kind. */
export const register = Effect.fnUntraced(function* (agentId: AgentId, entries: ReadonlyArray<PolicyEntry>) {
  const policies = yield* Policies
  const inForce = new Map<PolicyKind, PolicyEntry>()
  for (const entry of entries) if (entry.agentId === "*") inForce.set(entry.kind, entry)
  for (const entry of entries) if (entry.agentId === agentId) inForce.set(entry.kind, entry)
  // Every entry was decoded when the file was read.
  for (const { kind, body } of inForce.values()) yield* Effect.orDie(put(policies, agentId, kind, body))
})

const askModel = Effect.fnUntraced(function* (who: Who, step: Extract<RecordedStep, { kind: "llm" }>) {
  const { usage } = step
  const governor = yield* Governor
  const pricing = yield* Pricing
  const charge = yield* Effect.option(pricing.price(usage))
  // What the reply took is the best that can be known of the maximum which the request declared.
  const call = {
    ...who,
    model: usage.model,
    inputTokens: usage.inputTokens,
    maxTokens: Math.max(1, usage.outputTokens)
  }
  const refusal = yield* refusalOf(governor.run(call, (ticket) => ticket.report({ usage })))
  const replayed: ReplayedCall = {
    message: step.message,
    kind: "llm",
    name: usage.model,
    ...verdictOf(refusal),
    usd: Option.match(charge, { onNone: () => zeroUsd, onSome: ({ usd }) => usd }),
    ...(step.estimated ? { estimated: true } : {})
  }
  return replayed
})

const callTool = Effect.fnUntraced(function* (who: Who, step: Extract<RecordedStep, { kind: "tool" }>) {
  const governor = yield* Governor
  const refusal = yield* refusalOf(
    governor.run({ ...who, tool: step.tool, input: step.input }, () => Effect.succeed(step.result))
  )
  const replayed: ReplayedCall = {
    message: step.message,
    kind: "tool",
    name: step.tool,
    ...(step.id === null ? {} : { id: step.id }),
    ...verdictOf(refusal),
    usd: zeroUsd,
    ...(step.brokenArguments ? { brokenArguments: true } : {})
  }
  return replayed
})

/** A store that does not answer is no verdict: it ends the replay. Contracts live in programs, so a replay has none. */
const refusalOf = <A>(self: Effect.Effect<A, Refusal>): Effect.Effect<Judged | undefined, StoreError> =>
  Effect.matchEffect(self, {
    onSuccess: () => Effect.undefined,
    onFailure: (refusal) => {
      if (refusal instanceof StoreError) return Effect.fail(refusal)
      // A replay registers no contracts, and nobody signs in it.
      return refusal instanceof AgentKeyUnusable || refusal instanceof ContractViolation
        ? Effect.die(refusal)
        : Effect.succeed(refusal)
    }
  })

type Judged = Exclude<Refusal, StoreError | AgentKeyUnusable | ContractViolation>

const verdictOf = (refusal: Judged | undefined): Pick<ReplayedCall, "verdict" | "reason"> => {
  if (refusal === undefined) return { verdict: "allowed" }
  switch (refusal._tag) {
    case "ApprovalPending":
    case "ApprovalTimeout":
    case "ApprovalDenied":
      return { verdict: "ApprovalPending", reason: `${refusal.tool} would wait for approval` }
    default:
      return { verdict: refusal._tag, reason: refusal.message }
  }
}

const put = <K extends PolicyKind>(policies: Policies["Service"], agentId: AgentId, kind: K, body: Schema.Json) =>
  Effect.flatMap(Schema.decodeUnknownEffect(Schema.toEncoded(policyCodecs[kind]))(body), (input) =>
    policies.register(agentId, kind, input)
  )
