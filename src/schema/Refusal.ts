import type { AgentKeyUnusable } from "./AgentKeyError.ts"
import type { PolicyNotRegistered, ScopeViolation } from "./AgentScope.ts"
import type { CallPlan } from "./CallPlan.ts"
import type { ContractViolation } from "./Contract.ts"
import type { BudgetExceeded } from "./Cost.ts"
import type { ApprovalRequired } from "./Gate.ts"
import type { InvalidInput } from "./InvalidInput.ts"
import { LoopDetected } from "./Loop.ts"
import type { AgentHaltedError } from "./Presence.ts"
import type { UnknownModelError } from "./Pricing.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * Everything that can stop a call before it starts, each a typed error with a `recoveryHint`. Two may also end one that has
 * started: a halt, and a `ContractViolation` whose phase is `post`.
 */
export type Refusal =
  | AgentHaltedError
  | PolicyNotRegistered
  | ScopeViolation
  | ContractViolation
  | UnknownModelError
  | ApprovalRequired
  | BudgetExceeded
  | LoopDetected
  | InvalidInput
  | AgentKeyUnusable
  | StoreError

/** The agent of this call repeats itself. Seconds are 0 where the pattern does not look at time. */
export const looping = (
  { agentId, sessionId, target }: CallPlan,
  pattern: LoopDetected["pattern"],
  ...[count, limit, windowSeconds]: readonly [count: number, limit: number, windowSeconds: number]
) => new LoopDetected({ agentId, sessionId, tool: target.name, pattern, count, limit, windowSeconds })
