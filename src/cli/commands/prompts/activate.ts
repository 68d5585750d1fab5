import { Effect } from "effect"
import { Command } from "effect/cli"
import { terminalText } from "../../../schema/TerminalText.ts"
import { Prompts } from "../../../services/Prompts.ts"
import { withServices } from "../../Environment.ts"
import { by, operator } from "../../Operator.ts"
import { answer } from "../../Output.ts"
import { prompt, shortVersion, version, versionOf } from "../../PromptInput.ts"

export const activate = Command.make("activate", { prompt, version, by }).pipe(
  Command.withDescription("Make a version of a prompt the active one, audited as prompt.activated."),
  Command.withExamples([
    { command: "governance prompts activate triage 3f2ac41d", description: "By the first digits of the version" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const name = yield* operator(input.by)
      const wanted = yield* versionOf(input.prompt, input.version)
      const done = yield* (yield* Prompts).activate(input.prompt, wanted, { by: name })
      yield* answer(done, () => {
        const version = `Version ${shortVersion(done.version)} of ${terminalText(done.name)}`
        if (!done.changed) return `${version} was active already.`
        return `${version} is active${done.previous === null ? "" : `, instead of ${shortVersion(done.previous)}`}.`
      })
    }, withServices)
  )
)
