import { type BudgetCap, type BudgetState, remainingOf } from "./Cost.ts"
import type { AgentId, SessionId } from "./Ids.ts"
import { NanoUsd, zeroUsd } from "./Money.ts"

/** What has been used and what every cap has left, null where there is no cap (CST-13). */
export interface BudgetSnapshot {
  readonly state: BudgetState
  readonly sessionUsdRemaining: NanoUsd | null
  readonly sessionTokensRemaining: bigint | null
  readonly agentDailyUsdRemaining: NanoUsd | null
  readonly agentDailyTokensRemaining: bigint | null
}

export const snapshotOf = (state: BudgetState): BudgetSnapshot => {
  const own = (cap: BudgetCap) => {
    const found = state.caps.find((one) => one.cap === cap && one.policyOf === state.agentId)
    return found === undefined ? null : remainingOf(found)
  }
  const usd = (amount: bigint | null) => (amount === null ? null : NanoUsd.make(amount))
  return {
    state,
    sessionUsdRemaining: usd(own("perSessionUsd")),
    sessionTokensRemaining: own("perSessionTokens"),
    agentDailyUsdRemaining: usd(own("perAgentUsdDaily")),
    agentDailyTokensRemaining: own("perAgentTokensDaily")
  }
}

export const emptySnapshot = (agentId: AgentId, sessionId: SessionId | null): BudgetSnapshot =>
  snapshotOf({
    agentId,
    sessionId,
    day: "",
    sessionUsd: zeroUsd,
    sessionTokens: 0n,
    dailyUsd: zeroUsd,
    dailyTokens: 0n,
    heldUsd: zeroUsd,
    caps: []
  })
