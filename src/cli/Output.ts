import { Console, Effect, Stdio, Stream, Terminal } from "effect"
import { terminalJson, terminalText } from "../schema/TerminalText.ts"
import { redact, Secrets } from "./Redaction.ts"
import { governance } from "./Root.ts"

/** The answer of a command on standard output: one JSON document with `--json`, else text that fits the terminal. */
export const answer = Effect.fnUntraced(function* (json: unknown, text: (width: number | undefined) => string) {
  const flags = yield* governance
  yield* print(flags.json ? terminalJson(json, 2) : text(yield* terminalWidth))
})

/** One line of standard output. What it is made of MUST have passed `terminalText` or `terminalJson`. */
export const print = Effect.fnUntraced(function* (text: string) {
  yield* Console.log(redact(text, yield* Secrets))
})

/** One line for the person at the terminal, on standard error, so that pipes get data only. */
export const notice = Effect.fnUntraced(function* (text: string) {
  yield* Console.error(terminalText(redact(text, yield* Secrets), 4000))
})

/** The width of the terminal that standard output is, in cells. */
export const terminalWidth = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdoutIsTerminal)) return undefined
  const columns = yield* (yield* Terminal.Terminal).columns
  return columns >= 40 ? columns : undefined
})

/** Overwrites one line of standard error while something takes long; says nothing unless that is a terminal. */
export const progress = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const visible = yield* stdio.stderrIsTerminal
  const write = (text: string) =>
    visible ? Effect.ignore(Stream.run(Stream.make(text), stdio.stderr({ endOnDone: false }))) : Effect.void
  return {
    show: (text: string) => write(`\r${terminalText(text, 100)}${clearLine}`),
    clear: write(`\r${clearLine}`)
  }
})

const clearLine = "\u001b[K"
