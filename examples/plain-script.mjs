// node examples/plain-script.mjs: JavaScript, no framework. It forgets to close, and ends all the same with everything written.
import { BudgetExceeded, Governance, ScopeViolation } from "effect-governance/promise"

const governance = await Governance.memory({ warnOnNoWrappers: false })
await governance.scope.register({ agentId: "clerk", allowedTools: ["refund"] })
await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: 100 })

const refund = (amount) =>
  governance.governed(
    { agentId: "clerk", sessionId: "today", tool: "refund", input: { amount }, maxUsd: amount },
    async () => `refunded ${amount}`
  )

console.log(await refund(80))
try {
  await refund(30)
} catch (error) {
  if (!(error instanceof BudgetExceeded)) throw error
  console.log(error.message)
}
await governance
  .governed({ agentId: "clerk", tool: "delete_everything" }, () => console.log("never"))
  .catch((error) => console.log(error instanceof ScopeViolation, error.recoveryHint))
console.log(await governance.audit.verifyChain())
