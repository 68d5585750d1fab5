import { canonicalize } from "./CanonicalJson.ts"
import type { BudgetCap, BudgetPolicy, BudgetState } from "./Cost.ts"
import type { AgentId, SessionId } from "./Ids.ts"
import { formatUsd, NanoUsd } from "./Money.ts"
import { standard } from "./Redaction.ts"

/** Who is told when a cap is nearly used up, and at which percentage of it. */
export interface AlertRule {
  readonly url: string
  readonly secret: string
  readonly thresholdPct: number
}

export const defaultThresholdPct = 80

/** The rule of a policy; null when it names no receiver (WHK-01). */
export const alertRuleOf = ({
  alertThresholdPct,
  alertWebhookSecret,
  alertWebhookUrl
}: BudgetPolicy): AlertRule | null =>
  alertWebhookUrl === undefined || alertWebhookSecret === undefined
    ? null
    : { url: alertWebhookUrl, secret: alertWebhookSecret, thresholdPct: alertThresholdPct ?? defaultThresholdPct }

/** A cap that is used up to the threshold or beyond, in the cap's unit; `used` is without what open calls hold. */
export interface Crossing {
  readonly cap: BudgetCap
  readonly used: bigint
  readonly limit: bigint
}

/** The caps of the agent's own policy that are past the threshold. What is held may still be given back, so it does not count. */
export const crossings = (state: BudgetState, thresholdPct: number): ReadonlyArray<Crossing> =>
  state.caps
    .filter(({ limit, policyOf }) => policyOf === state.agentId && limit > 0n)
    .map(({ cap, limit, used }) => ({ cap, limit, used: spentOf(cap, state) ?? used }))
    .filter(({ limit, used }) => used * 100n >= limit * BigInt(thresholdPct))

const spentOf = (cap: BudgetCap, state: BudgetState): bigint | undefined => {
  switch (cap) {
    case "perSessionUsd":
      return state.sessionUsd
    case "perSessionTokens":
      return state.sessionTokens
    case "perAgentUsdDaily":
      return state.dailyUsd
    case "perAgentTokensDaily":
      return state.dailyTokens
    case "perSessionSeconds":
      return undefined
  }
}

/** Whether a cap counts a session; the others count a UTC day. */
export const isSessionCap = (cap: BudgetCap): boolean => cap.startsWith("perSession")

export interface BudgetAlert extends Crossing {
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  readonly thresholdPct: number
  /** `2026-11-21`, by the store's clock. */
  readonly day: string
}

/** What is signed and sent, to the byte: canonical JSON (WHK-02, OQ-13), without secrets in names (B-22). Amounts are decimal text in the unit that is named. */
export const alertText = (alert: BudgetAlert, sentAt: string): string =>
  canonicalize({
    schema: "governance.cost.budget_alert/v1",
    agent_id: standard.text(alert.agentId),
    session_id: alert.sessionId === null ? null : standard.text(alert.sessionId),
    cap_id: alert.cap,
    threshold_pct: alert.thresholdPct,
    unit: unitOf(alert.cap),
    used: amount(alert.cap, alert.used),
    limit: amount(alert.cap, alert.limit),
    utc_day: alert.day,
    sent_at: sentAt
  })

const unitOf = (cap: BudgetCap): "usd" | "tokens" | "seconds" =>
  cap.includes("Usd") ? "usd" : cap === "perSessionSeconds" ? "seconds" : "tokens"

const amount = (cap: BudgetCap, value: bigint): string =>
  unitOf(cap) === "usd" ? formatUsd(NanoUsd.make(value)).slice(1) : `${value}`
