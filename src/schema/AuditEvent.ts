import { Schema } from "effect"
import { Identifier } from "./Identifier.ts"
import { AgentId, EventId, SessionId } from "./Ids.ts"

/** Kinds that this library writes (AUD-19). The union is open: any other identifier is a kind of the caller's own. */
export const knownKinds = [
  "llm.call",
  "llm.result",
  "tool.call",
  "tool.result",
  "api.call",
  "api.result",
  "scope.violation",
  "budget.exceeded",
  "budget.alert_sent",
  "budget.alert_dropped",
  "model.unknown",
  "loop.detected",
  "call.refused",
  "call.orphaned",
  "contract.pre_violation",
  "contract.post_violation",
  "approval.requested",
  "approval.granted",
  "approval.denied",
  "approval.voted",
  "approval.expired",
  "approval.consumed",
  "approval.token_rejected",
  "approval.claimed",
  "approval.escalated",
  "gates.legacy_token_parsed",
  "approval.notice_parked",
  "bridge.gap",
  "agent.halted",
  "agent.restored",
  "policy.changed",
  "policy.differs",
  "coverage.ungoverned_call",
  "routing.policy_changed",
  "routing.suggestion",
  "prompt.registered",
  "prompt.activated",
  "session.closed",
  "audit.event_refused",
  "audit.events_dropped",
  "audit.rate_limited",
  "audit.fallback_broken",
  "audit.clock_skew",
  "audit.agent_key_registered",
  "audit.agent_key_revocation",
  "identity.revocation_without_chain_event",
  "audit.chain_key_rotated",
  "audit.checkpoint_adopted",
  "audit.segment_sealed",
  "audit.segment_pruned",
  "audit.subject_erased",
  "audit.legal_hold_set",
  "audit.legal_hold_released",
  "compliance.bundle_exported"
] as const

/** Ends a session: a log proves no end by itself, so whoever drives the session says it. `verify` names what comes after. */
export const sessionClosed = "session.closed" satisfies (typeof knownKinds)[number]

export type KnownKind = (typeof knownKinds)[number]
export type AuditKind = KnownKind | (string & {})

/** A short identifier; control characters and terminal escapes are stripped before it is hashed (AUD-07, DEC-17). */
export const AuditKind = Identifier(128)

/**
 * What a caller hands to `Audit.log`. Without a session the event goes to the agent's own chain (DEC-05). `id` makes the
 * append idempotent; `at` (milliseconds) is set by the caller only when replaying what was recorded elsewhere.
 */
export const AuditEvent = Schema.Struct({
  kind: AuditKind,
  agentId: AgentId,
  sessionId: Schema.optional(SessionId),
  id: Schema.optional(EventId),
  parentEventId: Schema.optional(EventId),
  model: Schema.optional(Identifier(128)),
  inputHash: Schema.optional(Identifier(128)),
  outputHash: Schema.optional(Identifier(128)),
  metadata: Schema.optional(Schema.Unknown)
})

/** The same with plain strings, as users write it. Decoding normalises and checks. */
export interface AuditEventInput {
  readonly kind: AuditKind
  readonly agentId: string
  readonly sessionId?: string | undefined
  readonly id?: string | undefined
  readonly parentEventId?: string | undefined
  readonly model?: string | undefined
  readonly inputHash?: string | undefined
  readonly outputHash?: string | undefined
  /** Plain JSON, at most 64 KiB in canonical form (AUD-06). Values marked with `sealed(subject, value)` are encrypted. */
  readonly metadata?: unknown
}
