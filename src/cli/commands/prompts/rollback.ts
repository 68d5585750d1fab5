import { Effect } from "effect"
import { Command } from "effect/cli"
import { terminalText } from "../../../schema/TerminalText.ts"
import { Prompts } from "../../../services/Prompts.ts"
import { withServices } from "../../Environment.ts"
import { by, operator } from "../../Operator.ts"
import { answer } from "../../Output.ts"
import { prompt, shortVersion } from "../../PromptInput.ts"

export const rollback = Command.make("rollback", { prompt, by }).pipe(
  Command.withDescription("Go back to the version that was active before; again, to the one before that."),
  Command.withExamples([{ command: "governance prompts rollback triage", description: "The new text was no good" }]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const name = yield* operator(input.by)
      const { version, ...done } = yield* (yield* Prompts).rollback(input.prompt, { by: name })
      yield* answer(
        { name: done.name, version },
        () => `Version ${shortVersion(version)} of ${terminalText(done.name)} is active again.`
      )
    }, withServices)
  )
)
