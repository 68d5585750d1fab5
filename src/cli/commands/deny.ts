import { Effect } from "effect"
import { Command } from "effect/cli"
import { terminalText } from "../../schema/TerminalText.ts"
import { GateDecisions } from "../../services/GateDecisions.ts"
import { reason, token, tokenOf } from "../Deciding.ts"
import { withServices } from "../Environment.ts"
import { by, operator } from "../Operator.ts"
import { answer } from "../Output.ts"

/** Refuses a waiting call. The agent hears that a person said no, and nothing else. */
export const deny = Command.make("deny", { token, reason, by }).pipe(
  Command.withDescription("Refuse a call that waits for a person."),
  Command.withExamples([
    { command: 'governance deny v2:... --reason "wrong customer"', description: "The reason stays in the audit log" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const text = yield* tokenOf(input.token)
      const name = yield* operator(input.by)
      const decisions = yield* GateDecisions
      const done = yield* decisions.deny(text, { by: name, reason: input.reason })
      yield* answer(done, () => `Denied: ${terminalText(done.kind, 100)} by ${terminalText(done.agentId, 100)}.`)
    }, withServices)
  )
)
