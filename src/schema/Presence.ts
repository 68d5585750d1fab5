import { DateTime, Schema } from "effect"
import { AgentId, OperatorId } from "./Ids.ts"

/** `halted` is derived from the halt marker and overrides the rest (PRS-04, PRS-05). */
export const AgentStatus = Schema.Literals(["live", "idle", "unresponsive", "halted"])
export type AgentStatus = typeof AgentStatus.Type

/** Reasons are plain text of at most 512 characters, made safe for logs (PRS-15). */
export const HaltReason = Schema.String.check(Schema.isMaxLength(512))

/** Who stopped an agent, when (by the database's clock) and why. */
export const Halt = Schema.Struct({
  agentId: AgentId,
  haltedBy: OperatorId,
  haltedAt: Schema.DateTimeUtc,
  reason: HaltReason
})
export type Halt = typeof Halt.Type

export const AgentPresence = Schema.Struct({
  agentId: AgentId,
  parent: Schema.NullOr(AgentId),
  status: AgentStatus,
  lastSeen: Schema.NullOr(Schema.DateTimeUtc),
  operatorId: Schema.NullOr(OperatorId),
  /** The caller's keys, and `_halted_by`, `_halted_at`, `_halt_reason` while the agent is halted (OQ-09). */
  metadata: Schema.Record(Schema.String, Schema.Json)
})
export type AgentPresence = typeof AgentPresence.Type

/** The root of an agent's tree and the agents from the root down to it, itself last (BEY-09). */
export interface Lineage {
  readonly root: AgentId
  readonly path: ReadonlyArray<AgentId>
}

/** The longest path of delegation, root and leaf included. */
export const maxDepth = 16

/**
 * An operator has stopped the agent or one that delegated to it. Deliberately no `GovernanceError`: a handler that
 * recovers from refusals must not swallow a halt (DEC-02, ERR-13).
 */
export class AgentHaltedError extends Schema.TaggedError<AgentHaltedError>()(
  "AgentHaltedError",
  {
    agentId: AgentId,
    /** The agent that the operator halted: this one, or an ancestor of it. */
    haltedAgent: AgentId,
    haltedBy: OperatorId,
    haltedAt: Schema.DateTimeUtc,
    reason: HaltReason,
    /** Which check said so: `admission`, `scope.check`, `running call` and so on. */
    path: Schema.String
  },
  { httpApiStatus: 409 }
) {
  override get message() {
    const through = this.haltedAgent === this.agentId ? "" : ` through ${this.haltedAgent}`
    return `Agent ${this.agentId} was halted${through} by ${this.haltedBy} at ${DateTime.formatIso(this.haltedAt)} (${this.path}): ${this.reason}`
  }
  get recoveryHint() {
    return `Leave the agent's loop. An operator ends the halt with \`governance resume ${this.haltedAgent}\`.`
  }
}

/** The halt could not be written: the agent is NOT stopped (PRS-12, V8-14). */
export class HaltPersistenceError extends Schema.TaggedError<HaltPersistenceError>()("HaltPersistenceError", {
  agentId: AgentId,
  operation: Schema.Literals(["halt", "resume"]),
  problem: Schema.String
}) {
  override get message() {
    return `The ${this.operation} of agent ${this.agentId} was not stored: ${this.problem}`
  }
  get recoveryHint() {
    return "The agent keeps its former state. Repair the database connection and repeat; stop the agent's process if it is urgent."
  }
}

/** The agent exists with another parent, its parent is unknown, or the path would be longer than 16. */
export class DelegationError extends Schema.TaggedError<DelegationError>()("DelegationError", {
  agentId: AgentId,
  parent: AgentId,
  problem: Schema.Literals(["agent_exists", "parent_unknown", "too_deep", "self"])
}) {
  override get message() {
    switch (this.problem) {
      case "agent_exists":
        return `Agent ${this.agentId} is already known, so it cannot become a delegate of ${this.parent}`
      case "parent_unknown":
        return `Agent ${this.parent} is unknown, so it cannot delegate to ${this.agentId}`
      case "too_deep":
        return `Delegating from ${this.parent} to ${this.agentId} would make a path longer than ${maxDepth}`
      case "self":
        return `Agent ${this.agentId} cannot delegate to itself`
    }
  }
  get recoveryHint() {
    return "Delegate to a new agent id before its first use, from an agent that has been used or delegated to."
  }
}
