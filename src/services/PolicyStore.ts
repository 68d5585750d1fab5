import { Context, type Effect } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import type { PolicyKind, PolicySource, StoredPolicy } from "../schema/Policy.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** All policies of all modules, one row per agent and kind. Admission reads caps and loop limits from the same rows. */
export class PolicyStore extends Context.Service<
  PolicyStore,
  {
    readonly all: Effect.Effect<ReadonlyArray<StoredPolicy>, StoreError>
    /**
     * Writes one policy and returns the row that is in force afterwards. A registration from code replaces only what code
     * wrote: while an operator's row is there it returns that one unchanged (DEC-21). The version grows only when the body,
     * or the source, changed.
     */
    readonly put: (policy: {
      readonly agentId: AgentId
      readonly kind: PolicyKind
      readonly body: unknown
      readonly source: PolicySource
    }) => Effect.Effect<StoredPolicy, StoreError>
    /** Gives an operator's row back to code: the next registration replaces it. */
    readonly release: (agentId: AgentId, kind: PolicyKind) => Effect.Effect<boolean, StoreError>
    readonly remove: (agentId: AgentId, kind: PolicyKind) => Effect.Effect<boolean, StoreError>
  }
>()("effect-governance/services/PolicyStore") {}
