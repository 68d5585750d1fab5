import { Effect, Stdio, Terminal } from "effect"
import { Flag } from "effect/cli"
import { UsageError } from "./CliFailure.ts"
import { notice } from "./Output.ts"
import { governance } from "./Root.ts"

/** `--yes`: the answer to the question that is asked before what cannot be undone. */
export const yes = Flag.Boolean("yes").pipe(
  Flag.withDescription("Do not ask first; needed where nobody is there to answer"),
  Flag.withoutNegation,
  Flag.withDefault(false)
)

/** Asks the person at the terminal before what cannot be undone. Without one, or with `--json`, only `--yes` goes on. */
export const confirmed = Effect.fnUntraced(function* (given: boolean, question: string) {
  if (given) return
  const stdio = yield* Stdio.Stdio
  const { json } = yield* governance
  if (json || !(yield* stdio.stdinIsTerminal) || !(yield* stdio.stderrIsTerminal)) {
    return yield* new UsageError({
      subject: "--yes",
      problem: "is missing: this cannot be undone, and there is nobody to ask",
      todo: "Look first with --dry-run, then give --yes."
    })
  }
  yield* notice(`${question} Type yes to go on:`)
  const terminal = yield* Terminal.Terminal
  const answered = yield* Effect.orElseSucceed(terminal.readLine, () => "")
  if (answered.trim().toLowerCase() === "yes") return
  return yield* new UsageError({ subject: "The answer", problem: "was not yes", todo: "Nothing was changed." })
})
