import { Effect } from "effect"
import { Command } from "effect/cli"
import { terminalText } from "../../../schema/TerminalText.ts"
import { OperatorPolicies } from "../../../services/OperatorPolicies.ts"
import { NothingToDo } from "../../CliFailure.ts"
import { withServices } from "../../Environment.ts"
import { agent, agentIdOf } from "../../Names.ts"
import { by, operator } from "../../Operator.ts"
import { answer } from "../../Output.ts"
import { kind } from "../../PolicyInput.ts"

/** Gives an operator's policy back to the programs. It stays in force until one of them registers its own. */
export const release = Command.make("release", { agent, kind, by }).pipe(
  Command.withDescription("Give an operator's policy back: the next registration by a program replaces it."),
  Command.withExamples([
    { command: "governance policy release billing-agent budget", description: "The program's budget counts again" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const agentId = yield* agentIdOf(input.agent)
      const name = yield* operator(input.by)
      const policies = yield* OperatorPolicies
      if (!(yield* policies.release(agentId, input.kind, name))) {
        return yield* new NothingToDo({
          what: `No operator has set the ${input.kind} policy of ${agentId}`,
          todo: "`governance policy show` lists the policies and who set them."
        })
      }
      yield* answer(
        { agentId, kind: input.kind, released: true },
        () =>
          `Released the ${input.kind} policy of ${terminalText(agentId)}. It stays in force until a program registers its own.`
      )
    }, withServices)
  )
)
