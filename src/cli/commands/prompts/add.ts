import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { maxPromptBytes } from "../../../schema/Prompt.ts"
import { terminalText } from "../../../schema/TerminalText.ts"
import { Prompts } from "../../../services/Prompts.ts"
import { withServices } from "../../Environment.ts"
import { readFrom } from "../../InputText.ts"
import { by, operator } from "../../Operator.ts"
import { answer } from "../../Output.ts"
import { prompt, shortVersion } from "../../PromptInput.ts"

/** Registers a file as a version of a prompt. The file is read before any database is touched. */
export const add = Command.make("add", {
  prompt,
  file: Argument.String("file").pipe(Argument.withDescription("The text in UTF-8, or - for standard input")),
  activate: Flag.Boolean("activate").pipe(
    Flag.withDescription("Make it the active version too"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  by
}).pipe(
  Command.withDescription("Register a text as a version of a prompt. The same text is the same version."),
  Command.withExamples([
    { command: "governance prompts add triage triage.md", description: "Register, to activate later" },
    { command: "governance prompts add triage - --activate < triage.md", description: "From standard input, at once" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const text = yield* readFrom(input.file, maxPromptBytes)
      const name = yield* operator(input.by)
      const done = yield* withServices(
        Effect.gen(function* () {
          const prompts = yield* Prompts
          const registered = yield* prompts.register(input.prompt, text, { by: name })
          if (input.activate) yield* prompts.activate(registered.name, registered.version, { by: name })
          return registered
        })
      )
      yield* answer({ ...done, activated: input.activate }, () => {
        const called = terminalText(done.name)
        const version = shortVersion(done.version)
        return [
          done.created
            ? `Registered version ${version} of ${called}.`
            : `This text is version ${version} of ${called} already.`,
          input.activate
            ? "It is the active version."
            : `Activate it with \`governance prompts activate ${called} ${version}\`.`
        ].join("\n")
      })
    })
  )
)
