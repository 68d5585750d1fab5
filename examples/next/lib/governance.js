import { Governance } from "effect-governance/promise"

/** Starts with the first request, once for the process, and survives the hot reload of `next dev`. */
export const governance = Governance.lazy(async () => {
  const started = process.env.GOVERNANCE_DATABASE_URL ? await Governance.start() : await Governance.memory()
  await started.scope.register({ agentId: "clerk", allowedTools: ["refund"] })
  await started.cost.register({ agentId: "clerk", perAgentUsdDaily: 100 })
  return started
})
