import { DateTime, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { terminalText } from "../../schema/TerminalText.ts"
import { Presence } from "../../services/Presence.ts"
import { PresenceStore } from "../../services/PresenceStore.ts"
import { NothingToDo } from "../CliFailure.ts"
import { withServices } from "../Environment.ts"
import { agent, agentIdOf } from "../Names.ts"
import { by, operator } from "../Operator.ts"
import { answer } from "../Output.ts"
import { haltAbove } from "./agents.ts"

/** Ends a halt. Fails when the agent stays halted through one above it: then it does not run, whatever we did here. */
export const resume = Command.make("resume", {
  agent,
  reason: Flag.String("reason").pipe(
    Flag.withMetavar("text"),
    Flag.withDescription("Why, for the audit log"),
    Flag.withDefault("")
  ),
  by
}).pipe(
  Command.withDescription("End the halt of an agent."),
  Command.withExamples([
    { command: 'governance resume billing-agent --reason "fixed in 1.4.2"', description: "Let it work again" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const agentId = yield* agentIdOf(input.agent)
      const name = yield* operator(input.by)
      const presence = yield* Presence
      const store = yield* PresenceStore
      const lifted = yield* presence.resume(agentId, { by: name, reason: input.reason })
      const known = new Map((yield* store.list).map((one) => [one.agentId, one]))
      const own = known.get(agentId)
      const halts = new Map((yield* store.halts).map((one) => [one.agentId, one]))
      const above = own === undefined ? undefined : haltAbove(own, known, halts)
      const was = Option.map(lifted, (halt) => ({ ...halt, haltedAt: DateTime.formatIso(halt.haltedAt) }))
      yield* answer({ agentId, lifted: Option.getOrNull(was), haltedThrough: above?.agentId ?? null }, () =>
        Option.match(was, {
          onNone: () => `${terminalText(agentId)} was not halted itself.`,
          onSome: (halt) =>
            `Resumed ${terminalText(agentId)}; it was halted by ${terminalText(halt.haltedBy)} at ${halt.haltedAt}: ${terminalText(halt.reason)}`
        })
      )
      if (above !== undefined) {
        return yield* new NothingToDo({
          what: `${agentId} stays halted through ${above.agentId}, halted by ${above.haltedBy}: ${above.reason}`,
          todo: `End that with \`governance resume ${above.agentId}\`.`
        })
      }
    }, withServices)
  )
)
