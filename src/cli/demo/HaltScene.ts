import { Cause, Clock, DateTime, Deferred, Effect, Exit, Fiber, Option } from "effect"
import { AgentHaltedError } from "../../schema/Presence.ts"
import { Governor } from "../../services/Governor.ts"
import { DemoFailed } from "./DemoFailed.ts"
import { operator } from "./Operator.ts"
import { inPlainWords } from "./PlainWords.ts"
import { Screen } from "./Screen.ts"
import { helperAgent, supportAgent } from "./Sessions.ts"

/** A call is running; an operator in another process halts the agent; the call is cut off and the next one is refused. */
export const haltScene = Effect.gen(function* () {
  const screen = yield* Screen
  const governor = yield* Governor
  const who = { agentId: supportAgent, sessionId: "order-1007" }
  const started = yield* Deferred.make<void>()
  const courier = governor.run({ ...who, tool: "ask_courier", input: { parcel: "P-1007" } }, () =>
    Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
  )
  const running = yield* Effect.forkChild(courier)
  yield* Effect.raceFirst(Deferred.await(started), Effect.asVoid(Fiber.await(running)))
  yield* screen.marked("allowed", "ask_courier     P-1007 ... it is running; couriers take their time")
  yield* screen.line("  ada, an operator, types in another process:")
  yield* screen.line(`    governance halt ${supportAgent} --by ada --reason "${reason}"`)

  yield* operator("halt", supportAgent, "--by", "ada", "--reason", reason)
  const exit = yield* Effect.timeoutOption(Fiber.await(running), "10 seconds")
  const now = yield* Clock.currentTimeMillis
  const halted = Option.flatMap(exit, (one) => (Exit.isFailure(one) ? Cause.findErrorOption(one.cause) : Option.none()))
  if (Option.isNone(halted) || !(halted.value instanceof AgentHaltedError)) {
    return yield* new DemoFailed({ what: "the halt did not reach the running call" })
  }
  yield* screen.marked("HALTED", "ask_courier     P-1007, cut off while it was running")
  yield* screen.because(inPlainWords(halted.value))
  yield* screen.aside(
    `  ${Math.max(1, now - DateTime.toEpochMillis(halted.value.haltedAt))} ms after the halt was written to the database.`
  )

  for (const agentId of [supportAgent, helperAgent]) {
    const next = governor.run(
      { agentId, sessionId: who.sessionId, tool: "track_parcel", input: { parcel: "P-1007" } },
      () => Effect.void
    )
    const refusal = yield* Effect.mapError(
      Effect.flip(next),
      () => new DemoFailed({ what: "a halted agent made a call" })
    )
    if (refusal._tag !== "AgentHaltedError")
      return yield* new DemoFailed({ what: "a halted agent was refused for another reason" })
    yield* screen.marked(
      "STOPPED",
      `track_parcel    P-1007, tried by ${agentId === supportAgent ? agentId : `its helper ${agentId}`}`
    )
  }
  yield* screen.because("Nothing runs until an operator lifts it with `governance resume`.")
})

const reason = "refunds look wrong"
