import { type DateTime, Schema } from "effect"
import { AgentId, EventId, KeyId, OperatorId, SessionId, TicketId } from "./Ids.ts"

/** The UUID of one request for approval, in lower case. */
export const GateRequestId = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/u)
).pipe(Schema.brand("GateRequestId"))
export type GateRequestId = typeof GateRequestId.Type

/** SHA-256 of an action, in hex. */
export const ActionHash = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u)).pipe(Schema.brand("ActionHash"))
export type ActionHash = typeof ActionHash.Type

/** `consumed`: one admission has used the grant. `expired`: by time, or withdrawn because the policy asks for more now. */
export const GateState = Schema.Literals(["pending", "granted", "denied", "expired", "consumed"])
export type GateState = typeof GateState.Type

/**
 * What became of the call that used an earlier approval of the same action. `unknown`: its process died (T-07). `not_run`: it
 * was refused after its approval was used up, and never began.
 */
export const EarlierOutcome = Schema.Literals(["running", "completed", "not_run", "unknown"])
export type EarlierOutcome = typeof EarlierOutcome.Type

/** A request for approval as stored. The token is not among it: it is derived from the row (T-11). Times by the store's clock. */
export const Gate = Schema.Struct({
  requestId: GateRequestId,
  root: AgentId,
  agentId: AgentId,
  sessionId: Schema.NullOr(SessionId),
  /** The tool's name, or what `Gates.request` was given. */
  kind: Schema.String,
  actionHash: ActionHash,
  /** Canonical text of the arguments as stored: escaped, sealed values sealed. Null: there were none. */
  payload: Schema.NullOr(Schema.String),
  /** What makes two requests the same one (DEC-21). */
  matchKey: Schema.String,
  /** The key under which the token and the rows of this request are made. */
  keyId: KeyId,
  state: GateState,
  quorum: Schema.Int,
  createdAtMs: Schema.Int,
  expiresAtMs: Schema.Int,
  decidedAtMs: Schema.NullOr(Schema.Int),
  /** Who operated the agent and those above it when it asked. */
  operators: Schema.Array(OperatorId),
  /** Who has claimed the request (GAT-10). */
  reviewer: Schema.NullOr(OperatorId),
  /** Whose grants made the decision, sorted. */
  approvers: Schema.Array(OperatorId),
  decisionMac: Schema.NullOr(Schema.String),
  /** What may run: differs from `actionHash` when the reviewer changed the arguments. Null until granted. */
  approvedHash: Schema.NullOr(ActionHash),
  editedPayload: Schema.NullOr(Schema.String),
  ticket: Schema.NullOr(TicketId),
  /** An approval of the same action that was used before. */
  earlier: Schema.NullOr(GateRequestId)
})
export type Gate = typeof Gate.Type

/** One grant of several that are needed. `mac` proves that this library took it. */
export interface GateVote {
  readonly approver: OperatorId
  readonly actionHash: ActionHash
  readonly editedPayload: string | null
  readonly mac: string
}

/** What a program gets for its request. `token` is shown here and to reviewers, and stored nowhere. */
export interface ApprovalRequest {
  readonly requestId: GateRequestId
  readonly token: string
  readonly expiresAt: DateTime.Utc
  /** False when the request could not be stored, or too many wait: nobody can grant it (GAT-01). */
  readonly grantable: boolean
}

export type GateRole = "requested" | "granted" | "denied" | "expired" | "consumed"
const digits: Record<GateRole, string> = { requested: "1", granted: "2", denied: "2", expired: "3", consumed: "4" }

/**
 * The id of a request's event: a UUID of version 8 like those of tickets, so that nothing is written twice. A grant and a
 * denial share theirs: a request has one decision (V8-04).
 */
export const eventOfGate = (request: GateRequestId, role: GateRole): EventId =>
  EventId.make(`${request.slice(0, 14)}8${request.slice(15, 35)}${digits[role]}`)
