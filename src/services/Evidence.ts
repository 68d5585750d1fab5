import { Context, Effect, Layer } from "effect"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import type { CallPlan } from "../schema/CallPlan.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import type { AuditDraft } from "../schema/Envelope.ts"
import { escape } from "../schema/Escape.ts"
import { type CallRole, type EventId, eventOfTicket, type TicketId } from "../schema/Ids.ts"
import { formatUsd, type NanoUsd } from "../schema/Money.ts"
import { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import type { Refusal } from "./Rooms.ts"

/** How a governed call ended, as its outcome event tells it. */
export interface Outcome {
  readonly result: "completed" | "failed" | "halted" | "interrupted"
  readonly error: string | null
  readonly usd: NanoUsd
  readonly tokens: bigint
  readonly model: string | null
  readonly resultHash: string | null
  /** The lease had ended before: this replaces what the sweep assumed. */
  readonly late: boolean
}

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
    readonly refusal: (plan: CallPlan, ticket: TicketId, refusal: Refusal) => Effect.Effect<void>
    /** The same without a fiber; false where the store has to be waited for, and nothing is written. */
    readonly attemptNow: (plan: CallPlan, ticket: TicketId, nowMs: number) => boolean
    readonly outcomeNow: (plan: CallPlan, ticket: TicketId, outcome: Outcome, nowMs: number) => boolean
    readonly idOf: (ticket: TicketId, role: CallRole) => EventId
  }
>()("effect-governance/services/Evidence") {}

export const make = Effect.gen(function* () {
  const audit = yield* Audit

  const row = (
    plan: CallPlan,
    kind: string,
    id: EventId,
    parent: EventId | null,
    metadataText: string,
    atMs: number
  ): AuditDraft => ({
    chain: plan.chain,
    id,
    atMs,
    agent: plan.agentId,
    session: plan.sessionId,
    parent,
    kind,
    model: plan.target.kind === "llm" ? plan.target.model : null,
    inputHash: plan.inputHash,
    outputHash: null,
    metadataText
  })

  const attemptRow = (plan: CallPlan, ticket: TicketId, atMs: number) =>
    row(
      plan,
      attemptKinds[plan.target.kind],
      eventOfTicket(ticket, "attempt"),
      null,
      `{"name":${quote(plan.target.name)},"ticket":"${ticket}"}`,
      atMs
    )

  const outcomeRow = (plan: CallPlan, ticket: TicketId, outcome: Outcome, atMs: number): AuditDraft => {
    const { error, late, result, resultHash, tokens, usd } = outcome
    const metadataText =
      `{${error === null ? "" : `"error":${quote(error)},`}${late ? '"late":true,' : ""}"name":${quote(plan.target.name)},` +
      `"result":"${result}","ticket":"${ticket}","tokens":"${tokens}","usd":"${usd === 0n ? "0.00" : formatUsd(usd).slice(1)}"}`
    return {
      ...row(
        plan,
        outcomeKinds[plan.target.kind],
        eventOfTicket(ticket, "outcome"),
        eventOfTicket(ticket, "attempt"),
        metadataText,
        atMs
      ),
      outputHash: resultHash
    }
  }

  /** An attempt with metadata of the caller's: decoded as any event, sealed values included. */
  const described = (plan: CallPlan, ticket: TicketId): AuditEventInput => ({
    kind: attemptKinds[plan.target.kind],
    id: eventOfTicket(ticket, "attempt"),
    agentId: plan.agentId,
    sessionId: plan.sessionId ?? undefined,
    model: plan.target.kind === "llm" ? plan.target.model : undefined,
    inputHash: plan.inputHash ?? undefined,
    metadata: { ticket, name: plan.target.name, ...(plan.metadata === undefined ? {} : { call: plan.metadata }) }
  })

  const submit = (draft: (atMs: number) => AuditDraft) =>
    Effect.clockWith((clock) => audit.submit(draft(clock.currentTimeMillisUnsafe())))

  return Evidence.of({
    // Metadata that is no plain JSON must not cost the call its row: `note` writes the substitute (A-12).
    attempt: (plan, ticket) =>
      plan.metadata === undefined
        ? submit((atMs) => attemptRow(plan, ticket, atMs))
        : audit.note(described(plan, ticket)),
    requireAttempt: (plan, ticket) =>
      audit.require(described(plan, ticket)).pipe(
        Effect.catchTag(["InvalidAuditEvent", "EventIdConflict"], (error) =>
          Effect.fail(StoreError.because({ store: "AuditStore", operation: "require", problem: "refused" }, error))
        ),
        Effect.asVoid
      ),
    outcome: (plan, ticket, outcome) => submit((atMs) => outcomeRow(plan, ticket, outcome, atMs)),
    refusal: (plan, ticket, refusal) =>
      submit((atMs) =>
        row(
          plan,
          refusalKind(refusal),
          eventOfTicket(ticket, "outcome"),
          eventOfTicket(ticket, "attempt"),
          canonicalize(escape({ name: plan.target.name, reason: refusal.message, refused: refusal._tag, ticket })),
          atMs
        )
      ),
    attemptNow: (plan, ticket, nowMs) =>
      plan.metadata === undefined && audit.submitNow(attemptRow(plan, ticket, nowMs), nowMs),
    outcomeNow: (plan, ticket, outcome, nowMs) => audit.submitNow(outcomeRow(plan, ticket, outcome, nowMs), nowMs),
    idOf: eventOfTicket
  })
})

export const layer = Layer.effect(Evidence, make)

const attemptKinds = { tool: "tool.call", api: "api.call", llm: "llm.call" } as const
const outcomeKinds = { tool: "tool.result", api: "api.result", llm: "llm.result" } as const

// Names are normalised and well formed, and error tags are made so below: JSON.stringify then writes what RFC 8785 prescribes.
const quote = (text: string) => JSON.stringify(text.toWellFormed())

const refusalKind = (refusal: Refusal): string => {
  switch (refusal._tag) {
    case "ScopeViolation":
      return "scope.violation"
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
