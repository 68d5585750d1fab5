import { Context, Effect, Layer } from "effect"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import type { CallPlan } from "../schema/CallPlan.ts"
import { type EventId, type TicketId, uuidV8FromHash } from "../schema/Ids.ts"
import { formatUsd, type NanoUsd } from "../schema/Money.ts"
import { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import { ChainKeys } from "./ChainKeys.ts"
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
    readonly idOf: (ticket: TicketId, role: Role) => EventId
  }
>()("effect-governance/services/Evidence") {}

export type Role = "attempt" | "outcome" | "orphaned"

export const make = Effect.gen(function* () {
  const audit = yield* Audit
  const { hash } = yield* ChainKeys

  const idOf = (ticket: TicketId, role: Role) => uuidV8FromHash(hash(`${ticket} ${role}`))

  const event = (
    plan: CallPlan,
    kind: string,
    id: EventId,
    parentEventId: EventId | undefined,
    metadata: unknown
  ): AuditEventInput => ({
    kind,
    id,
    parentEventId,
    agentId: plan.agentId,
    sessionId: plan.sessionId ?? undefined,
    model: plan.target.kind === "llm" ? plan.target.model : undefined,
    inputHash: plan.inputHash ?? undefined,
    metadata
  })

  const attemptEvent = (plan: CallPlan, ticket: TicketId) =>
    event(plan, `${plan.target.kind}.call`, idOf(ticket, "attempt"), undefined, {
      ticket,
      name: plan.target.name,
      ...(plan.metadata === undefined ? {} : { call: plan.metadata })
    })

  // Metadata that is no plain JSON must not cost the call its row: `log` writes the substitute.
  const log = (input: AuditEventInput) => Effect.asVoid(Effect.ignore(audit.log(input)))

  return Evidence.of({
    attempt: (plan, ticket) => log(attemptEvent(plan, ticket)),
    requireAttempt: (plan, ticket) =>
      audit.require(attemptEvent(plan, ticket)).pipe(
        Effect.catchTag(["InvalidAuditEvent", "EventIdConflict"], (error) =>
          Effect.fail(StoreError.because({ store: "AuditStore", operation: "require", problem: "refused" }, error))
        ),
        Effect.asVoid
      ),
    outcome: (plan, ticket, outcome) =>
      log({
        ...event(plan, `${plan.target.kind}.result`, idOf(ticket, "outcome"), idOf(ticket, "attempt"), {
          ticket,
          name: plan.target.name,
          result: outcome.result,
          usd: formatUsd(outcome.usd).slice(1),
          tokens: `${outcome.tokens}`,
          ...(outcome.error === null ? {} : { error: outcome.error }),
          ...(outcome.late ? { late: true } : {})
        }),
        outputHash: outcome.resultHash ?? undefined
      }),
    refusal: (plan, ticket, refusal) =>
      log(
        event(plan, refusalKind(refusal), idOf(ticket, "outcome"), idOf(ticket, "attempt"), {
          ticket,
          name: plan.target.name,
          refused: refusal._tag,
          reason: refusal.message
        })
      ),
    idOf
  })
})

export const layer = Layer.effect(Evidence, make)

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
