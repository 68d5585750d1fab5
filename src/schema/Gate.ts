import { Schema } from "effect"
import { AgentId } from "./Ids.ts"

/** The tool needs a person's approval, and nobody has given it yet: the call did not run (ERR-10, GAT-04). */
export class ApprovalPending extends Schema.TaggedError<ApprovalPending>()(
  "ApprovalPending",
  {
    agentId: AgentId,
    tool: Schema.String,
    /** The request that a person can decide; null while no request was made. */
    requestId: Schema.NullOr(Schema.String)
  },
  { httpApiStatus: 403 }
) {
  override get message() {
    return `${this.tool} by agent ${this.agentId} waits for the approval of a person`
  }
  get recoveryHint() {
    return this.requestId === null
      ? `Take "${this.tool}" out of the gate policy of ${this.agentId}, or let a person approve the call.`
      : "A person decides it with `governance approvals`; make the same call again afterwards."
  }
}

/** Nobody decided in time. A grant that comes later starts nothing by itself: it counts for the next identical call (T-15). */
export class ApprovalTimeout extends Schema.TaggedError<ApprovalTimeout>()(
  "ApprovalTimeout",
  { agentId: AgentId, tool: Schema.String, requestId: Schema.String },
  { httpApiStatus: 403 }
) {
  override get message() {
    return `Nobody approved ${this.tool} by agent ${this.agentId} in time (request ${this.requestId})`
  }
  get recoveryHint() {
    return "Make the same call again: an approval that is still good is found, else a new one is asked for."
  }
}

/**
 * A person said no, or what was said does not hold for this call. Says which, and never what a reviewer wrote: that text
 * MUST NOT reach the agent (T-14).
 */
export class ApprovalDenied extends Schema.TaggedError<ApprovalDenied>()(
  "ApprovalDenied",
  {
    agentId: AgentId,
    tool: Schema.String,
    requestId: Schema.NullOr(Schema.String),
    problem: Schema.Literals(["denied", "used", "withdrawn", "forged", "edited", "mismatch", "too_many"])
  },
  { httpApiStatus: 403 }
) {
  override get message() {
    return `${this.tool} by agent ${this.agentId} is not approved: ${deniedBecause[this.problem]}`
  }
  get recoveryHint() {
    return deniedHints[this.problem]
  }
}

const deniedBecause: Record<ApprovalDenied["problem"], string> = {
  denied: "a person refused it",
  used: "its approval was used by another call",
  withdrawn: "its approval has run out, or does not hold under the present policy",
  forged: "the stored approval was not made by this library",
  edited: "the reviewer changed its arguments",
  mismatch: "the approval is for another action",
  too_many: "too many of the agent's requests wait for a person already"
}

const deniedHints: Record<ApprovalDenied["problem"], string> = {
  denied: "Do something else; the reviewer's reason is in the audit log.",
  used: "One approval is good for one call. Look whether that call did its work before asking again.",
  withdrawn: "Make the call again, without the old request's id: a new one is made under the present policy.",
  forged:
    "Tell whoever runs the database: a row of governance_gates was changed from outside. Run `governance verify`.",
  edited: "Run the tool through `Gates.requireApproval`, which passes it the arguments that were approved.",
  mismatch: "Make the call with exactly the approved arguments, or without the request's id.",
  too_many: "Stop asking in a loop, and let a person work off `governance approvals`."
}

/** A gate in the way of a call, whatever became of it: the common name of the three (C-13). */
export type ApprovalRequired = ApprovalPending | ApprovalTimeout | ApprovalDenied

/**
 * A token, or the person who brought it, was not accepted; nothing was decided. Whatever is wrong with the token itself is
 * `not_accepted`, so that nobody learns from it (T-01); the rest is said only for a token that is genuine.
 */
export class ApprovalTokenError extends Schema.TaggedError<ApprovalTokenError>()(
  "ApprovalTokenError",
  {
    problem: Schema.Literals([
      "not_accepted",
      "expired",
      "resolved",
      "moved",
      "own_agent",
      "owner_unknown",
      "not_a_reviewer",
      "voted",
      "not_editable"
    ]),
    /** What the request is instead, for `resolved`. */
    state: Schema.NullOr(Schema.String)
  },
  { httpApiStatus: 403 }
) {
  override get message() {
    return this.problem === "resolved"
      ? `The request is already resolved: ${this.state ?? "by someone else"}`
      : tokenSentences[this.problem]
  }
  get recoveryHint() {
    return tokenHints[this.problem]
  }
}

const tokenSentences: Record<Exclude<ApprovalTokenError["problem"], "resolved">, string> = {
  not_accepted: "The approval token is not accepted",
  expired: "The request has expired",
  moved: "Somebody else was working on the request at the same moment",
  own_agent: "The operator of an agent cannot approve what it asks for",
  owner_unknown: "Nobody knows who operates the agent, so nobody can be told apart from its operator",
  not_a_reviewer: "This person is not among the reviewers of the agent's gate policy",
  voted: "This person has approved the request already; it needs another one",
  not_editable: "The arguments hold sealed values, so they can be approved or refused, not changed"
}

const tokenHints: Record<ApprovalTokenError["problem"], string> = {
  not_accepted: "Copy the whole token from `governance approvals` of the same deployment.",
  expired: "The agent asks again when it makes the call again.",
  resolved: "Nothing is left to do; `governance approvals --all` shows it.",
  moved: "Look at the request again, then repeat.",
  own_agent: "Ask a colleague to decide it.",
  owner_unknown: "Let the agent send its operatorId with `Presence.heartbeat`, then decide again.",
  not_a_reviewer: "Ask one of the policy's reviewers, or change the policy.",
  voted: "Ask a colleague to decide it as well.",
  not_editable: "Grant it as it is, or deny it."
}

/** A token of the first version after the day on which they end (GAT-07). Handled wherever `ApprovalTokenError` is (ERR-11). */
export class TokenVersionTooOldError extends Schema.TaggedError<TokenVersionTooOldError>()(
  "TokenVersionTooOldError",
  { acceptedUntil: Schema.String },
  { httpApiStatus: 403 }
) {
  override get message() {
    return `Approval tokens of version 1 are accepted until ${this.acceptedUntil} only`
  }
  get recoveryHint() {
    return "Use the token that `governance approvals` prints, or extend GOVERNANCE_GATES_ACCEPT_V1_UNTIL for a while."
  }
}
