import { Cause, Console, Context, Layer, Logger, References } from "effect"
import { terminalJson, terminalText } from "../schema/TerminalText.ts"
import { redact, Secrets } from "./Redaction.ts"

/** Log lines go to standard error, safe for a terminal and without secrets; a cause is shown only at level debug. */
export const logger = Logger.make<unknown, void>(({ cause, fiber, logLevel, message }) => {
  const context = fiber.context
  const detailed = debugLevels.has(Context.get(context, References.MinimumLogLevel))
  const parts = (Array.isArray(message) ? message : [message]).map(textOf)
  const why = cause.reasons.length === 0 || !detailed ? [] : [Cause.pretty(cause)]
  const line = [`${logLevel.toLowerCase()}:`, ...parts, ...why].join(" ")
  Context.get(context, Console.Console).error(terminalText(redact(line, Context.get(context, Secrets)), 4000))
})

/** Warnings and worse; `--log-level` changes that for the command. */
export const layer = Layer.mergeAll(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Warn"))

const debugLevels: ReadonlySet<string> = new Set(["All", "Trace", "Debug"])

const textOf = (part: unknown): string => {
  if (typeof part === "string") return part
  if (part instanceof Error) return part.message
  if (typeof part === "object" && part !== null && !Array.isArray(part)) {
    return Object.entries(part)
      .map(([key, value]) => `${key}=${typeof value === "string" ? value : terminalJson(value)}`)
      .join(" ")
  }
  return terminalJson(part) ?? "undefined"
}
