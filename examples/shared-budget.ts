// Two agents' processes on one database share one budget. Run it twice: the second run finds the money spent.
import { Console, Effect } from "effect"
import { AgentScope, Cost, governed } from "effect-governance"
import * as Postgres from "effect-governance/postgres"

const call = (n: number) =>
  Effect.succeed(`call ${n} ran`).pipe(
    governed({ agentId: "buyer", sessionId: "order-7", tool: "buy", input: { item: n }, maxUsd: "4.00" }),
    Effect.catchTag("BudgetExceeded", (error) => Effect.succeed(`call ${n} was stopped: ${error.message}`))
  )

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "buyer", allowedTools: ["buy"] })
  yield* (yield* Cost.Cost).register({ agentId: "buyer", perAgentUsdDaily: "10.00" })
  for (const line of yield* Effect.forEach([1, 2, 3], call, { concurrency: "unbounded" })) yield* Console.log(line)
})

const dataDir = process.argv[2] ?? ".governance"
Effect.runPromise(program.pipe(Effect.provide(Postgres.layerEmbedded({ dataDir, enforcementDeadline: "5 seconds" }))))
