import { Context, type Effect } from "effect"
import type { BudgetState } from "../schema/Cost.ts"
import type { AgentId, SessionId } from "../schema/Ids.ts"
import type { NanoUsd } from "../schema/Money.ts"
import type { StoreError } from "../schema/StoreError.ts"

export interface ModelSpend {
  readonly model: string
  readonly usd: NanoUsd
  readonly tokens: bigint
}

/** The counters that admission holds on, read and added to directly. */
export class CostStore extends Context.Service<
  CostStore,
  {
    /** Counters of the agent and every cap on its path, in one round trip (CST-04). */
    readonly snapshot: (agentId: AgentId, sessionId: SessionId | null) => Effect.Effect<BudgetState, StoreError>
    /** Adds to the counters of the whole path. Monotone; a repeated `id` adds nothing. */
    readonly track: (spent: {
      readonly id: string
      readonly agentId: AgentId
      readonly sessionId: SessionId | null
      readonly model: string | null
      readonly usd: NanoUsd
      readonly tokens: bigint
    }) => Effect.Effect<void, StoreError>
    readonly breakdown: (agentId: AgentId) => Effect.Effect<ReadonlyArray<ModelSpend>, StoreError>
  }
>()("effect-governance/services/CostStore") {}
