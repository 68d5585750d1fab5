import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import type { PromptChange } from "../../../schema/Prompt.ts"
import { terminalText } from "../../../schema/TerminalText.ts"
import { Prompts } from "../../../services/Prompts.ts"
import { withReader } from "../../Environment.ts"
import { answer } from "../../Output.ts"
import { prompt, versionOf } from "../../PromptInput.ts"

/** What a reader has to see of two versions: the lines that differ, with a few around them. */
export const diff = Command.make("diff", {
  prompt,
  from: Argument.String("from").pipe(Argument.withDescription("A version, or the first 8 or more of its digits")),
  to: Argument.String("to").pipe(Argument.withDescription("The version to compare it with"))
}).pipe(
  Command.withDescription("Show what changed from one version of a prompt to another, line by line."),
  Command.withExamples([
    { command: "governance prompts diff triage 3f2ac41d 90b1e7aa", description: "From the first to the second" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const from = yield* versionOf(input.prompt, input.from)
      const to = yield* versionOf(input.prompt, input.to)
      const changes = yield* (yield* Prompts).diff(input.prompt, from, to)
      yield* answer({ from, to, changes }, () =>
        from === to ? "Both are the same version." : changes.flatMap(linesOf).join("\n")
      )
    }, withReader)
  )
)

const context = 3
const marks = { same: "  ", removed: "- ", added: "+ " } as const

const linesOf = ({ change, text }: PromptChange, index: number, all: ReadonlyArray<PromptChange>) => {
  const lines = text.replace(/\n$/, "").split("\n")
  const shown = lines.map((line) => `${marks[change]}${terminalText(line)}`)
  if (change !== "same") return text.endsWith("\n") ? shown : [...shown, "  (no line break at the end)"]
  // What stands before the first change and after the last needs no context on its far side.
  const head = index === 0 ? 0 : context
  const tail = index === all.length - 1 ? 0 : context
  if (lines.length <= head + tail + 1) return shown
  const left = lines.length - head - tail
  return [...shown.slice(0, head), `  … ${left} lines are the same`, ...shown.slice(lines.length - tail)]
}
