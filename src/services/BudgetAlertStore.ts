import { Context, type Effect } from "effect"
import type { BudgetCap } from "../schema/Cost.ts"
import type { AgentId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** Which alerts have been sent: one for each agent, cap and UTC day, in all processes together (WHK-03, V8-05). */
export class BudgetAlertStore extends Context.Service<
  BudgetAlertStore,
  {
    /**
     * True for one caller: the alert is its to send. False for everybody after it on that day and, with a `session` (`""` for
     * calls without one), on every later day of that session: what has stayed above has not crossed. Kept for 40 days at least.
     */
    readonly claim: (alert: {
      readonly agentId: AgentId
      readonly cap: BudgetCap
      /** `2026-11-21`. */
      readonly day: string
      /** Null for a cap that counts the day. */
      readonly session: string | null
    }) => Effect.Effect<boolean, StoreError>
  }
>()("effect-governance/services/BudgetAlertStore") {}
