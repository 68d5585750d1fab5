import { DateTime, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { Prompt, PromptHistory, RegisteredPrompt } from "../../../schema/Prompt.ts"
import { terminalText } from "../../../schema/TerminalText.ts"
import { Prompts } from "../../../services/Prompts.ts"
import { withReader } from "../../Environment.ts"
import { answer } from "../../Output.ts"
import { prompt, shortVersion, versionOf } from "../../PromptInput.ts"
import { table } from "../../Table.ts"

/** The history of a prompt, or the text of one of its versions. */
export const show = Command.make("show", {
  prompt,
  version: Flag.String("version").pipe(
    Flag.withMetavar("digits"),
    Flag.withDescription("Show the text of this version"),
    Flag.optional
  )
}).pipe(
  Command.withDescription("Show the versions of a prompt and when each was active, or the text of one."),
  Command.withExamples([
    { command: "governance prompts show triage", description: "Its history" },
    {
      command: "governance prompts show triage --version 3f2ac41d --json | jq -r .text",
      description: "A text as it was registered"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const prompts = yield* Prompts
      if (Option.isSome(input.version)) {
        const found = yield* prompts.get(input.prompt, yield* versionOf(input.prompt, input.version.value))
        return yield* answer(found, () => textOf(found))
      }
      const history = yield* prompts.history(input.prompt)
      yield* answer({ versions: history.versions.map(timed), activations: history.activations.map(timed) }, (width) =>
        historyOf(history, width)
      )
    }, withReader)
  )
)

const timed = <A extends { readonly at: DateTime.Utc }>(one: A) => ({ ...one, at: DateTime.formatIso(one.at) })

/** Line by line: a line break is the only control character that a terminal is told. */
const textOf = ({ text }: Prompt) =>
  text
    .split("\n")
    .map((line) => terminalText(line, 10_000))
    .join("\n")

const historyOf = ({ activations, versions }: PromptHistory, width: number | undefined) => {
  const active = activations.at(-1)?.version
  const state = ({ version }: RegisteredPrompt) => {
    const times = activations.filter((one) => one.version === version).length
    return version === active ? "active" : times === 0 ? "never active" : "was active"
  }
  const registered = table([...columns, { title: "STATE", keep: true, value: state }], versions, width)
  if (activations.length === 0) return `Registered\n${registered}\n\nNo version is active.`
  return `Registered\n${registered}\n\nActivated, the last one counts\n${table(columns, activations, width)}`
}

const columns = [
  { title: "VERSION", keep: true, value: ({ version }: RegisteredPrompt) => shortVersion(version) },
  { title: "AT", keep: true, value: ({ at }: RegisteredPrompt) => DateTime.formatIso(at) },
  { title: "BY", value: ({ by }: RegisteredPrompt) => by }
]
