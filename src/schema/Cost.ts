import { Schema } from "effect"
import { AlertSecret, AlertUrl } from "./AlertAddress.ts"
import { AgentId, SessionId } from "./Ids.ts"
import { formatUsd, NanoUsd, UsdAmount } from "./Money.ts"

const Tokens = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

export const BudgetCap = Schema.Literals([
  "perSessionUsd",
  "perSessionTokens",
  "perAgentUsdDaily",
  "perAgentTokensDaily",
  "perSessionSeconds"
])
export type BudgetCap = typeof BudgetCap.Type

/** The caps of an agent and of everything it delegates to. At least one must be set (CST-01, CST-02). */
export const BudgetPolicy = Schema.Struct({
  perSessionUsd: Schema.optionalKey(UsdAmount),
  perSessionTokens: Schema.optionalKey(Tokens),
  perAgentUsdDaily: Schema.optionalKey(UsdAmount),
  perAgentTokensDaily: Schema.optionalKey(Tokens),
  /** 0 to 86,400 seconds since the session's first call, by the database's clock. */
  perSessionSeconds: Schema.optionalKey(Tokens.check(Schema.isLessThanOrEqualTo(86_400))),
  /** Who is told when a cap is used up to `alertThresholdPct` per cent, default 80; needs `costWebhooksEnabled` (WHK-01). */
  alertWebhookUrl: Schema.optionalKey(AlertUrl),
  alertWebhookSecret: Schema.optionalKey(AlertSecret),
  alertThresholdPct: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })))
}).check(
  Schema.makeFilter((policy) => BudgetCap.literals.some((cap) => cap in policy) || "a budget needs at least one cap"),
  Schema.makeFilter(
    (policy) =>
      "alertWebhookUrl" in policy === "alertWebhookSecret" in policy ||
      "alertWebhookUrl and alertWebhookSecret need each other"
  )
)
export type BudgetPolicy = typeof BudgetPolicy.Type
export type BudgetPolicyInput = typeof BudgetPolicy.Encoded

/** One cap and how much of it is taken. Unit by cap: nano-USD, tokens or whole seconds; `used` includes what is held. */
export const CapState = Schema.Struct({
  cap: BudgetCap,
  /** The agent whose policy sets the cap: the caller's own, or one that delegated to it (BEY-09). */
  policyOf: AgentId,
  limit: Schema.BigInt,
  used: Schema.BigInt
})
export type CapState = typeof CapState.Type

export const remainingOf = (state: CapState): bigint => (state.used >= state.limit ? 0n : state.limit - state.used)

/**
 * What an agent and everything it delegated to has spent, what open calls hold of its `day` (the UTC date of the store's
 * clock), and every cap on the agent's path, root first (CST-13). The spent amounts are without what is held.
 */
export const BudgetState = Schema.Struct({
  agentId: AgentId,
  sessionId: Schema.NullOr(SessionId),
  day: Schema.String,
  sessionUsd: NanoUsd,
  sessionTokens: Schema.BigInt,
  dailyUsd: NanoUsd,
  dailyTokens: Schema.BigInt,
  heldUsd: NanoUsd,
  caps: Schema.Array(CapState)
})
export type BudgetState = typeof BudgetState.Type

/** Nano-USD, tokens or seconds as a person reads them. */
export const formatAmount = (cap: BudgetCap, amount: bigint): string =>
  cap.endsWith("Usd") || cap.endsWith("UsdDaily")
    ? formatUsd(NanoUsd.make(amount))
    : cap === "perSessionSeconds"
      ? `${amount} s`
      : `${amount} tokens`

const capNames: Record<BudgetCap, string> = {
  perSessionUsd: "budget of the session",
  perSessionTokens: "token budget of the session",
  perAgentUsdDaily: "daily budget",
  perAgentTokensDaily: "daily token budget",
  perSessionSeconds: "time limit of the session"
}
export const describeCap = (cap: BudgetCap): string => capNames[cap]

/** A cap has no room for the call's worst case (ERR-04). Nothing was spent. */
export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>()(
  "BudgetExceeded",
  {
    agentId: AgentId,
    sessionId: Schema.NullOr(SessionId),
    cap: BudgetCap,
    policyOf: AgentId,
    limit: Schema.BigInt,
    used: Schema.BigInt,
    requested: Schema.BigInt
  },
  { httpApiStatus: 402 }
) {
  get remaining(): bigint {
    return remainingOf(this)
  }
  override get message() {
    const of = this.policyOf === this.agentId ? "its" : `${this.policyOf}'s`
    return this.cap === "perSessionSeconds"
      ? `Agent ${this.agentId} is over ${of} ${describeCap(this.cap)}: ${formatAmount(this.cap, this.used)} of ${formatAmount(this.cap, this.limit)}`
      : `Agent ${this.agentId} needs ${formatAmount(this.cap, this.requested)}; ${of} ${describeCap(this.cap)} has ${formatAmount(this.cap, this.remaining)} of ${formatAmount(this.cap, this.limit)} left`
  }
  get recoveryHint() {
    return `Raise ${this.cap} in the budget policy of ${this.policyOf}, or wait for the next ${this.cap.includes("Daily") ? "UTC day" : "session"}.`
  }
}

/**
 * The first cap that the request does not fit, in the order given. A cap that is reached refuses everything, calls that take
 * nothing from it included (CST-03); the time limit is reached when it is used up.
 */
export const firstShort = (
  caps: ReadonlyArray<CapState>,
  request: { readonly usd: bigint; readonly tokens: bigint }
): CapState | undefined =>
  caps.find((state) => state.used >= state.limit || state.used + amountOf(state.cap, request) > state.limit)

/** What a request takes from a cap, in the cap's unit; time is not asked for in advance. */
export const amountOf = (cap: BudgetCap, request: { readonly usd: bigint; readonly tokens: bigint }): bigint => {
  switch (cap) {
    case "perSessionUsd":
    case "perAgentUsdDaily":
      return request.usd
    case "perSessionTokens":
    case "perAgentTokensDaily":
      return request.tokens
    case "perSessionSeconds":
      return 0n
  }
}
