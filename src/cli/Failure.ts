import { Cause, Effect } from "effect"
import { notice } from "./Output.ts"

/** Says on standard error what was wrong, where, and what to do: one line, no stack, no secret (ERR-16). */
export const tell = Effect.fnUntraced(function* (cause: Cause.Cause<unknown>) {
  if (Cause.hasInterruptsOnly(cause)) return
  const error = Cause.squash(cause)
  // The parser's errors have been told where they came up, with the usage.
  if (tagOf(error) === "ShowHelp") return
  yield* notice(`governance: ${sentence(error)}`)
  yield* Effect.logDebug("failed", cause)
})

/** Message and hint of an error; of a defect only its message, since it was never meant for a user. */
export const sentence = (error: unknown): string => {
  const message = field(error, "message") ?? "failed for an unknown reason"
  const hint = field(error, "recoveryHint")
  if (hint !== undefined && hint !== "") return `${ended(message)} ${hint}`
  return tagOf(error) === undefined
    ? `internal error: ${ended(message)} Run it again with --log-level debug and report it.`
    : ended(message)
}

const ended = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`)

const tagOf = (error: unknown) => field(error, "_tag")

const field = (value: unknown, name: string): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const found: unknown = Reflect.get(value, name)
  return typeof found === "string" ? found : undefined
}
