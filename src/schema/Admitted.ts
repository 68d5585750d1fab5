import type { CallPlan } from "./CallPlan.ts"
import type { TicketId } from "./Ids.ts"
import type { NanoUsd } from "./Money.ts"
import type { Lineage } from "./Presence.ts"

/** A call that every room has let through, and what is held for it. */
export interface Admitted {
  readonly plan: CallPlan
  readonly ticket: TicketId
  readonly lineage: Lineage
  readonly heldUsd: NanoUsd
  readonly heldTokens: bigint
  /** True when the store did not answer and `costFailOpen` let the call run: there is no ticket row to settle. */
  readonly failOpen: boolean
}
