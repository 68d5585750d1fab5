import { Context, Effect } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { terminalText } from "../../schema/TerminalText.ts"
import { print } from "../Output.ts"

/** What a line says at its beginning, and the colour of that on a terminal. */
export type Mark = "allowed" | "STOPPED" | "WAITS" | "HALTED" | "ok" | "REFUSED" | "TAMPERED"

/** Writes for a person who reads along: with pauses and colours on a terminal, plainly and at once anywhere else. */
export class Screen extends Context.Service<
  Screen,
  {
    readonly heading: (text: string) => Effect.Effect<void>
    readonly line: (text: string) => Effect.Effect<void>
    /** Less important than the rest. */
    readonly aside: (text: string) => Effect.Effect<void>
    readonly marked: (mark: Mark, text: string, amount?: string) => Effect.Effect<void>
    readonly because: (text: string) => Effect.Effect<void>
    /** A moment to read, in tenths of a second; none without a terminal. */
    readonly pause: (tenths: number) => Effect.Effect<void>
  }
>()("effect-governance/cli/demo/Screen") {}

export const make = Effect.fnUntraced(function* (options: { readonly fast: boolean }) {
  const { canAnimate, canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const paced = canAnimate && !options.fast
  const paint = (code: string, text: string) => (canColor ? `\u001b[${code}m${text}\u001b[0m` : text)
  const pause = (tenths: number) => (paced ? Effect.sleep(tenths * 100) : Effect.void)
  const say = (text: string) => Effect.andThen(print(text), pause(0.7))
  return Screen.of({
    heading: (text) => Effect.andThen(print(""), Effect.andThen(print(paint("1", terminalText(text))), pause(4))),
    line: (text) => say(terminalText(text)),
    aside: (text) => say(paint("2", terminalText(text))),
    marked: (mark, text, amount = "") => {
      const body = terminalText(text)
      const padded = amount === "" ? body : `${body.padEnd(amountColumn)}${paint("2", terminalText(amount))}`
      return say(`  ${paint(colours[mark], mark.padEnd(markWidth))}  ${padded}`)
    },
    because: (text) =>
      Effect.andThen(
        Effect.forEach(wrapped(terminalText(text)), (part) => say(`${" ".repeat(markWidth + 4)}${part}`), {
          discard: true
        }),
        pause(4)
      ),
    pause
  })
})

/** Lines of at most 68 characters, so that the whole fits an ordinary terminal. */
const wrapped = (text: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length + 1 > 68) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

const markWidth = 8
const amountColumn = 56
const colours: Readonly<Record<Mark, string>> = {
  allowed: "32",
  ok: "32",
  STOPPED: "1;31",
  REFUSED: "1;31",
  TAMPERED: "1;31",
  HALTED: "1;35",
  WAITS: "1;33"
}
