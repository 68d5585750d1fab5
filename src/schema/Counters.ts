/**
 * The arithmetic of holding and settling, shared by the memory stores and by replay. The SQL of the Postgres store states
 * the same rules; the contract suites hold them equal.
 */
import type { Hold, Settlement } from "./Call.ts"
import { amountOf, type BudgetCap, type BudgetPolicy, type CapState, firstShort, remainingOf } from "./Cost.ts"
import type { AgentId } from "./Ids.ts"

/** Two amounts that are always moved together: nano-USD and tokens. */
export interface Amount {
  readonly usd: bigint
  readonly tokens: bigint
}

export const nothing: Amount = { usd: 0n, tokens: 0n }
export const isNothing = (amount: Amount): boolean => amount.usd === 0n && amount.tokens === 0n

/** What is spent and held in one period (a session, or a UTC day) of one agent. Held is apart, so that it can be given back. */
export interface Counter {
  spentUsd: bigint
  spentTokens: bigint
  heldUsd: bigint
  heldTokens: bigint
}

export const emptyCounter = (): Counter => ({ spentUsd: 0n, spentTokens: 0n, heldUsd: 0n, heldTokens: 0n })

export const hold = (counter: Counter, amount: Amount): void => {
  counter.heldUsd += amount.usd
  counter.heldTokens += amount.tokens
}

export const release = (counter: Counter, amount: Amount): void => {
  counter.heldUsd -= amount.usd
  counter.heldTokens -= amount.tokens
}

export const spend = (counter: Counter, amount: Amount): void => {
  counter.spentUsd += amount.usd
  counter.spentTokens += amount.tokens
}

export const idle = (counter: Counter): boolean => counter.heldUsd === 0n && counter.heldTokens === 0n

/** A cap of a policy as a number to compare with. */
export interface Limit {
  readonly cap: BudgetCap
  readonly limit: bigint
}

const capOrder: ReadonlyArray<BudgetCap> = [
  "perSessionUsd",
  "perSessionTokens",
  "perAgentUsdDaily",
  "perAgentTokensDaily",
  "perSessionSeconds"
]

/** The caps that a policy sets, in the order in which they are tested. */
export const limitsOf = (policy: BudgetPolicy): ReadonlyArray<Limit> =>
  capOrder.flatMap((cap) => {
    const limit = policy[cap]
    return limit === undefined ? [] : [{ cap, limit: BigInt(limit) }]
  })

/** How much of each limit is taken, holds included. `sessionSeconds` are whole seconds since the session's first call. */
export const capStates = (
  policyOf: AgentId,
  limits: ReadonlyArray<Limit>,
  counters: { readonly session: Counter; readonly day: Counter; readonly sessionSeconds: bigint }
): Array<CapState> => limits.map(({ cap, limit }) => ({ cap, policyOf, limit, used: usedOf(cap, counters) }))

const usedOf = (
  cap: BudgetCap,
  {
    day,
    session,
    sessionSeconds
  }: { readonly session: Counter; readonly day: Counter; readonly sessionSeconds: bigint }
): bigint => {
  switch (cap) {
    case "perSessionUsd":
      return session.spentUsd + session.heldUsd
    case "perSessionTokens":
      return session.spentTokens + session.heldTokens
    case "perAgentUsdDaily":
      return day.spentUsd + day.heldUsd
    case "perAgentTokensDaily":
      return day.spentTokens + day.heldTokens
    case "perSessionSeconds":
      return sessionSeconds
  }
}

/** What a request holds, or the cap that it does not fit. `Remaining` takes the smallest remainder of each unit whole (DEC-21). */
export type Holding =
  | { readonly _tag: "Held"; readonly amount: Amount }
  | { readonly _tag: "Short"; readonly short: CapState; readonly requested: bigint }

export const holding = (caps: ReadonlyArray<CapState>, request: Hold): Holding => {
  const asked: Amount = request._tag === "Exact" ? request : nothing
  const short = caps.length === 0 ? undefined : firstShort(caps, asked)
  if (short !== undefined) return { _tag: "Short", short, requested: amountOf(short.cap, asked) }
  return {
    _tag: "Held",
    amount: request._tag === "Exact" ? request : remainder(caps)
  }
}

/** The smallest remainder of the caps in dollars and of the caps in tokens; nothing where no cap counts the unit. */
const remainder = (caps: ReadonlyArray<CapState>): Amount => ({
  usd: smallest(caps.filter(({ cap }) => cap === "perSessionUsd" || cap === "perAgentUsdDaily")),
  tokens: smallest(caps.filter(({ cap }) => cap === "perSessionTokens" || cap === "perAgentTokensDaily"))
})

const smallest = (caps: ReadonlyArray<CapState>): bigint =>
  caps.reduce<bigint | undefined>((least, cap) => {
    const left = remainingOf(cap)
    return least === undefined || left < least ? left : least
  }, undefined) ?? 0n

/** What a call is charged when it ends this way: never zero for a call that may have run (DEC-07). */
export const chargeOf = (settlement: Settlement, held: Amount): Amount => {
  switch (settlement._tag) {
    case "Spent":
      return { usd: settlement.usd, tokens: settlement.tokens }
    case "Held":
    case "Orphaned":
      return held
    case "Refused":
      return nothing
  }
}
