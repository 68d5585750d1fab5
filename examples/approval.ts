// From 1000 dollars on a refund waits for a person. The colleague who approves it here is part of the program; `governance approvals`
// and `governance grant` do the same from any terminal on the same database.
import { Console, Effect, Fiber, Schedule } from "effect"
import { AgentScope, Gates, governed, Presence } from "effect-governance"
import * as Memory from "effect-governance/memory"

const refund = (usd: string, wait = true) =>
  Console.log(`refunded ${usd}`).pipe(
    governed({
      agentId: "clerk",
      sessionId: "today",
      tool: "refund",
      input: { order: "A-17", usd },
      approval: { required: Number(usd) >= 1000, wait }
    }),
    Effect.catchTag(["ApprovalPending", "ApprovalDenied"], (error) =>
      Console.log(`${usd} did not run: ${error.message}`)
    )
  )

const colleague = Effect.gen(function* () {
  const gates = yield* Gates.Gates
  const waiting = yield* Effect.repeat(gates.list(), {
    until: (cards) => cards.length > 0,
    schedule: Schedule.spaced("20 millis")
  })
  for (const { gate, token } of waiting) {
    yield* Console.log(`rita approves: ${gate.kind} ${gate.payload} by ${gate.agentId}`)
    yield* gates.grant(token ?? "", { by: "rita@example.org", reason: "I have seen the order" })
  }
})

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["refund"] })
  // Whoever operates an agent cannot approve what it does.
  yield* (yield* Presence.Presence).heartbeat("clerk", { operatorId: "olga@example.org" })
  yield* refund("999.99")
  const waiting = yield* Effect.forkChild(refund("1000.00"))
  yield* colleague
  yield* Fiber.join(waiting)
  yield* refund("1000.00", false)
})

Effect.runPromise(program.pipe(Effect.provide(Memory.layer())))
