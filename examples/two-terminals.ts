// A refund that waits for you in another terminal: start this, then there `npx governance approvals`, and `grant`, `deny` or
// `grant --arguments` what you see. Stop it while it waits and start it again: it waits for the same request, and runs once.
import { Console, Effect } from "effect"
import { AgentScope, Gates, Presence } from "effect-governance"
import * as Postgres from "effect-governance/postgres"

// Its function gets the arguments that were approved, so the reviewer may change them.
const refund = Gates.requireApproval({ agentId: "clerk", sessionId: "today", tool: "refund" })((order) =>
  Console.log(`refunded ${JSON.stringify(order)}`)
)

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["refund"] })
  // Whoever operates an agent cannot approve what it does.
  yield* (yield* Presence.Presence).heartbeat("clerk", { operatorId: "olga@example.org" })
  yield* refund({ order: "A-17", usd: "1000.00" })
}).pipe(
  Effect.catchTag(["ApprovalDenied", "ApprovalTimeout"], (error) =>
    Console.log(`${error.message}. ${error.recoveryHint}`)
  )
)

const dataDir = process.argv[2] ?? ".governance"
Effect.runPromise(program.pipe(Effect.provide(Postgres.layerEmbedded({ dataDir, enforcementDeadline: "5 seconds" }))))
