import { Duration } from "effect"
import type { Admission, Hold, UsedApproval } from "../schema/Call.ts"
import type { CallPlan } from "../schema/CallPlan.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import type { TicketId } from "../schema/Ids.ts"
import type { Lineage } from "../schema/Presence.ts"

/** What room 6 asks of the store for one call. With an approval the sweep can say whose outcome nobody knows (T-07). */
export const admissionsOf = ({ enableLoop, leaseDuration }: Pick<GovernanceConfig, "enableLoop" | "leaseDuration">) => {
  const leaseMs = Duration.toMillis(leaseDuration)
  return (
    { agentId, inputHash, sessionId, signature, target }: CallPlan,
    ticket: TicketId,
    { root }: Lineage,
    hold: Hold,
    approval?: UsedApproval
  ): Admission => ({
    ticket,
    root,
    agentId,
    sessionId,
    tool: target.kind === "llm" || !enableLoop ? null : target.name.toLowerCase(),
    signature,
    hold,
    leaseMs,
    facts: {
      kind: target.kind,
      name: target.name,
      model: target.kind === "llm" ? target.model : null,
      inputHash,
      ...(approval === undefined ? {} : { approval: approval.requestId })
    },
    approval
  })
}
