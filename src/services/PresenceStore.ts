import { Context, type Effect } from "effect"
import type { AgentId, OperatorId } from "../schema/Ids.ts"
import type { AgentPresence, AgentStatus, Halt, Lineage } from "../schema/Presence.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** `Enrolled` also when the agent was already there with the same parent. */
export type EnrolResult =
  | { readonly _tag: "Enrolled"; readonly lineage: Lineage }
  | { readonly _tag: "AgentExists" }
  | { readonly _tag: "ParentUnknown" }
  | { readonly _tag: "TooDeep" }

/** Who is there, who delegated to whom, and who is halted. */
export class PresenceStore extends Context.Service<
  PresenceStore,
  {
    /** Makes the agent's row if there is none (a root unless `parent` is given) and returns its lineage. Immutable from then on. */
    readonly enrol: (agentId: AgentId, parent: AgentId | null) => Effect.Effect<EnrolResult, StoreError>
    /** Sets status and last seen. MUST NOT touch a halt; keys of `metadata` that begin with `_halt` are dropped (PRS-16). */
    readonly heartbeat: (beat: {
      readonly agentId: AgentId
      readonly status: Exclude<AgentStatus, "halted">
      readonly operatorId: OperatorId | null
      /** Null leaves what is there. */
      readonly metadata: Readonly<Record<string, unknown>> | null
    }) => Effect.Effect<void, StoreError>
    /** Removes the presence row; a halt stays (PRS-16). */
    readonly remove: (agentId: AgentId) => Effect.Effect<void, StoreError>
    readonly list: Effect.Effect<ReadonlyArray<AgentPresence>, StoreError>
    /** Marks agents not seen for `timeoutMs` as unresponsive and returns them. */
    readonly markStale: (timeoutMs: number) => Effect.Effect<ReadonlyArray<AgentId>, StoreError>
    /** Every halt in force. Small by nature: this is what the halt cache loads. */
    readonly halts: Effect.Effect<ReadonlyArray<Halt>, StoreError>
    /** Idempotent: a second halt returns the first with `changed: false`. Takes the tree's row, as admission does. */
    readonly halt: (marker: {
      readonly agentId: AgentId
      readonly haltedBy: OperatorId
      readonly reason: string
    }) => Effect.Effect<{ readonly changed: boolean; readonly halt: Halt }, StoreError>
    /** The halt that was lifted, or null when there was none. */
    readonly resume: (agentId: AgentId) => Effect.Effect<Halt | null, StoreError>
  }
>()("effect-governance/services/PresenceStore") {}
