import { Effect } from "effect"
import { AgentScope, Cost, governed } from "effect-governance"
import * as Memory from "effect-governance/memory"

const refund = (amount: number) =>
  Effect.succeed(`refunded ${amount}`).pipe(
    governed({ agentId: "clerk", sessionId: "today", tool: "refund", input: { amount }, maxUsd: amount }),
    Effect.catchTag("BudgetExceeded", (error) => Effect.succeed(error.message))
  )

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["refund"] })
  yield* (yield* Cost.Cost).register({ agentId: "clerk", perAgentUsdDaily: 100 })
  console.log(yield* refund(80))
  console.log(yield* refund(30))
})

Effect.runPromise(program.pipe(Effect.provide(Memory.layer())))
