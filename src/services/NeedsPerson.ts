import type { ScopeTarget } from "../schema/AgentScope.ts"
import type { ApprovalOptions } from "../schema/CallPlan.ts"
import { marks } from "../schema/GateDemand.ts"
import type { AgentId } from "../schema/Ids.ts"
import type { Policies } from "./Policies.ts"

/** Whether a person has to approve a call: because the program says so, or a policy of the agent or of one above it does. */
export const needsPerson = (
  policies: Policies["Service"],
  path: ReadonlyArray<AgentId>,
  target: Pick<ScopeTarget, "kind" | "name">,
  approval: ApprovalOptions | undefined
): boolean =>
  approval?.required === true ||
  path.some((agent) => {
    const policy = policies.get(agent, "gate")?.policy
    return policy !== undefined && marks(policy, target)
  })
