import type { Usage } from "./Call.ts"

/** Budgets. Money in results is a `bigint` of billionths of a dollar; `formatUsd` shows it. */
export interface Cost {
  register(policy: BudgetPolicy & { readonly agentId: string }): Promise<void>
  /** Rejects with `BudgetExceeded` when a cap has no room for this. Holds nothing: `governed` does. */
  checkOrFail(agentId: string, sessionId: string | null, question?: CostQuestion): Promise<void>
  /** `checkOrFail` by another name. */
  preflight(agentId: string, sessionId: string | null, question: CostQuestion): Promise<void>
  /** Adds to the counters, for what was spent outside of `governed`. */
  track(
    agentId: string,
    sessionId: string | null,
    spent: { readonly tokens: number; readonly usd: number | string; readonly model?: string }
  ): Promise<void>
  /** Prices the usage, then adds it. */
  trackUsage(agentId: string, sessionId: string | null, usage: Usage): Promise<void>
  /** Corrects what was held for a call, once. */
  reconcile(agentId: string, ticket: string, usage: Usage): Promise<Settled | undefined>
  snapshot(agentId: string, sessionId: string | null): Promise<BudgetSnapshot>
  /** What the agent has spent, by model. */
  modelBreakdown(agentId: string): Promise<ReadonlyMap<string, ModelSpend>>
}

/** Dollars as a number or as text, such as `"0.50"`. At least one cap. */
export interface BudgetPolicy {
  readonly perSessionUsd?: number | string
  readonly perSessionTokens?: number
  readonly perAgentUsdDaily?: number | string
  readonly perAgentTokensDaily?: number
  /** 0 to 86,400 seconds since the session's first call. */
  readonly perSessionSeconds?: number
  /** Who is told when a cap is nearly used up; with `costWebhooksEnabled`. A URL, or `env://GOVERNANCE_ALERT_<NAME>`. */
  readonly alertWebhookUrl?: string
  /** `env://GOVERNANCE_ALERT_<NAME>`: never the secret itself. */
  readonly alertWebhookSecret?: string
  /** Per cent of a cap; default 80. */
  readonly alertThresholdPct?: number
}

/** What a call would take at most: a model with its tokens, or an amount of dollars. */
export interface CostQuestion {
  readonly model?: string
  readonly provider?: string
  readonly inputTokens?: number
  readonly maxTokens?: number
  readonly usd?: number | string
}

export interface Settled {
  readonly usd: bigint
  readonly tokens: bigint
  readonly outcome: "settled" | "late" | "already" | "unknown"
}

/** What is left of every cap; null where there is no cap. */
export interface BudgetSnapshot {
  readonly state: BudgetState
  readonly sessionUsdRemaining: bigint | null
  readonly sessionTokensRemaining: bigint | null
  readonly agentDailyUsdRemaining: bigint | null
  readonly agentDailyTokensRemaining: bigint | null
}

export interface BudgetState {
  readonly agentId: string
  readonly sessionId: string | null
  /** The UTC date of the database. */
  readonly day: string
  readonly sessionUsd: bigint
  readonly sessionTokens: bigint
  readonly dailyUsd: bigint
  readonly dailyTokens: bigint
  /** Set aside for calls that run now. */
  readonly heldUsd: bigint
  readonly caps: ReadonlyArray<CapState>
}

export type Cap =
  | "perSessionUsd"
  | "perSessionTokens"
  | "perAgentUsdDaily"
  | "perAgentTokensDaily"
  | "perSessionSeconds"

export interface CapState {
  readonly cap: Cap
  /** The agent whose policy sets the cap: its own, or one that delegated to it. */
  readonly policyOf: string
  readonly limit: bigint
  readonly used: bigint
}

export interface ModelSpend {
  readonly model: string
  readonly usd: bigint
  readonly tokens: bigint
}
