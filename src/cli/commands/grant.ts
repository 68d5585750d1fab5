import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { terminalText } from "../../schema/TerminalText.ts"
import { GateDecisions } from "../../services/GateDecisions.ts"
import { counted, UsageError } from "../CliFailure.ts"
import { reason, token, tokenOf } from "../Deciding.ts"
import { withServices } from "../Environment.ts"
import { readText } from "../InputText.ts"
import { by, operator } from "../Operator.ts"
import { answer } from "../Output.ts"

/** Approves a waiting call, as it is or with other arguments. Fails when the token, or the person, is not accepted. */
export const grant = Command.make("grant", {
  token,
  arguments: Flag.String("arguments").pipe(
    Flag.withMetavar("json"),
    Flag.withDescription(
      "Approve with these arguments instead: JSON, or @file. Only a call made with Gates.requireApproval can take them; under plain `governed` it is refused"
    ),
    Flag.optional
  ),
  reason,
  by
}).pipe(
  Command.withDescription("Approve a call that waits for a person. It may run once."),
  Command.withExamples([
    { command: "governance grant v2:... --by alice@example.com", description: "As the agent asked for it" },
    { command: `governance grant v2:... --arguments '{"usd":"5.00"}'`, description: "With other arguments" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const text = yield* tokenOf(input.token)
      const edited = Option.isNone(input.arguments) ? undefined : yield* argumentsOf(input.arguments.value)
      const name = yield* operator(input.by)
      const decisions = yield* GateDecisions
      const done = yield* decisions.grant(text, { by: name, reason: input.reason, arguments: edited })
      yield* answer(done, () => {
        const what = `${terminalText(done.kind, 100)} by ${terminalText(done.agentId, 100)}`
        if (done.state === "pending") {
          return `Your approval of ${what} is noted. It needs ${counted(done.missing, "more person", "more people")}.`
        }
        return edited === undefined
          ? `Granted: ${what}. It may run once.`
          : `Granted: ${what}, with your arguments. It may run once, if its program takes arguments from approvals (Gates.requireApproval); under plain \`governed\` it is refused.`
      })
    }, withServices)
  )
)

const argumentsOf = Effect.fnUntraced(function* (given: string) {
  const text = given.startsWith("@") ? yield* readText(given.slice(1), 1_000_000) : given
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Json))(text),
    () => new UsageError({ subject: "--arguments", problem: "is no JSON", todo: `Quote it, as in '{"usd":"5.00"}'.` })
  )
})
