import { Context, Effect, Layer } from "effect"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import type { LoopCount } from "../schema/Call.ts"
import type { CallPlan } from "../schema/CallPlan.ts"
import { attemptKinds, CallRow, type Outcome } from "../schema/CallRow.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import type { AuditDraft } from "../schema/Envelope.ts"
import { escape } from "../schema/Escape.ts"
import { type CallRole, type EventId, eventOfTicket, type TicketId } from "../schema/Ids.ts"
import type { JsonObject } from "../schema/Json.ts"
import type { Refusal } from "../schema/Refusal.ts"
import { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"

/**
 * The two rows of a governed call: an attempt, and an outcome or refusal that names it as parent (BEY-06). Ids are derived
 * from the ticket, so whoever writes them, and however often, there is one of each.
 */
export class Evidence extends Context.Service<
  Evidence,
  {
    readonly attempt: (plan: CallPlan, ticket: TicketId) => Effect.Effect<void>
    /** Fails unless the attempt is in the database. */
    readonly requireAttempt: (plan: CallPlan, ticket: TicketId) => Effect.Effect<void, StoreError>
    readonly outcome: (plan: CallPlan, ticket: TicketId, outcome: Outcome) => Effect.Effect<void>
    /** A loop that the policy only logs: the call goes on (LOP-02). */
    readonly looped: (plan: CallPlan, ticket: TicketId, loop: LoopCount) => Effect.Effect<void>
    readonly refusal: (plan: CallPlan, ticket: TicketId, refusal: Refusal) => Effect.Effect<void>
    /** The same without a fiber; false where the store has to be waited for, and nothing is written. */
    readonly attemptNow: (plan: CallPlan, ticket: TicketId, nowMs: number) => boolean
    readonly outcomeNow: (plan: CallPlan, ticket: TicketId, outcome: Outcome, nowMs: number) => boolean
    readonly idOf: (ticket: TicketId, role: CallRole) => EventId
  }
>()("effect-governance/services/Evidence") {}

export const make = Effect.gen(function* () {
  const audit = yield* Audit

  /** An attempt with metadata of the caller's: decoded as any event, sealed values included. */
  const described = (plan: CallPlan, ticket: TicketId): AuditEventInput => ({
    kind: attemptKinds[plan.target.kind],
    id: eventOfTicket(ticket, "attempt"),
    agentId: plan.agentId,
    sessionId: plan.sessionId ?? undefined,
    model: plan.target.kind === "llm" ? plan.target.model : undefined,
    inputHash: plan.inputHash ?? undefined,
    metadata: {
      ticket,
      name: plan.target.name,
      ...(plan.prompt === undefined ? {} : { prompt: plan.prompt }),
      ...(plan.metadata === undefined ? {} : { call: plan.metadata })
    }
  })

  /** A row that says more of an attempt than that it ended. */
  const told = (
    plan: CallPlan,
    ticket: TicketId,
    role: CallRole,
    kind: string,
    atMs: number,
    facts: JsonObject
  ): AuditDraft => ({
    chain: plan.chain,
    id: eventOfTicket(ticket, role),
    atMs,
    agent: plan.agentId,
    session: plan.sessionId,
    parent: eventOfTicket(ticket, "attempt"),
    kind,
    model: plan.target.kind === "llm" ? plan.target.model : null,
    inputHash: plan.inputHash,
    outputHash: null,
    metadataText: canonicalize(escape({ ...facts, name: plan.target.name, ticket }))
  })

  const submit = (draft: (atMs: number) => AuditDraft) =>
    Effect.clockWith((clock) => audit.submit(draft(clock.currentTimeMillisUnsafe())))

  return Evidence.of({
    // Metadata that is no plain JSON must not cost the call its row: `note` writes the substitute.
    attempt: (plan, ticket) =>
      plan.metadata === undefined
        ? submit((atMs) => new CallRow(plan, ticket, null, atMs))
        : audit.note(described(plan, ticket)),
    requireAttempt: (plan, ticket) =>
      audit.require(described(plan, ticket)).pipe(
        Effect.catchTag(["InvalidAuditEvent", "EventIdConflict"], (error) =>
          Effect.fail(StoreError.because({ store: "AuditStore", operation: "require", problem: "refused" }, error))
        ),
        Effect.asVoid
      ),
    outcome: (plan, ticket, outcome) => submit((atMs) => new CallRow(plan, ticket, outcome, atMs)),
    looped: (plan, ticket, { count, maxCalls, windowSeconds }) =>
      submit((atMs) =>
        told(plan, ticket, "looped", "loop.detected", atMs, { action: "log", count, limit: maxCalls, windowSeconds })
      ),
    refusal: (plan, ticket, refusal) =>
      submit((atMs) =>
        told(plan, ticket, "outcome", refusalKind(refusal), atMs, {
          ...(refusal._tag === "ContractViolation" ? refusal.facts : {}),
          ...{ reason: refusal.message, refused: refusal._tag }
        })
      ),
    attemptNow: (plan, ticket, nowMs) =>
      plan.metadata === undefined && audit.submitNow(new CallRow(plan, ticket, null, nowMs), nowMs),
    outcomeNow: (plan, ticket, outcome, nowMs) => audit.submitNow(new CallRow(plan, ticket, outcome, nowMs), nowMs),
    idOf: eventOfTicket
  })
})

export const layer = Layer.effect(Evidence, make)

const refusalKind = (refusal: Refusal): string => {
  switch (refusal._tag) {
    case "ScopeViolation":
      return "scope.violation"
    case "ContractViolation":
      return "contract.pre_violation"
    case "BudgetExceeded":
      return "budget.exceeded"
    case "LoopDetected":
      return "loop.detected"
    case "UnknownModelError":
      return "model.unknown"
    default:
      return "call.refused"
  }
}
