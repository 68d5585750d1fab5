import { Cause, Logger } from "effect"
import { outward } from "./Outward.ts"

/** Something that whoever operates the program should know: a module that is off, a database that does not answer. */
export interface LogEntry {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal"
  /** The name of the event, such as `cost.settle_delayed`, or a sentence. */
  readonly message: string
  readonly facts: { readonly [key: string]: unknown }
  /** The stack of what went wrong, where something did. */
  readonly cause?: string
  readonly at: Date
}

export interface Logging {
  /** Where the library's own remarks go; to stderr by default, since a script's stdout is its own. What it throws is dropped. */
  readonly log?: ((entry: LogEntry) => void) | undefined
}

/** Replaces the logger of the runtime, which writes to stdout. */
export const layer = ({ log = toStderr }: Logging) =>
  Logger.layer([
    Logger.make(({ cause, date, logLevel, message }) => {
      const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
      const facts = parts.filter((part): part is object => typeof part === "object" && part !== null)
      const entry: LogEntry = {
        level: levels[logLevel] ?? "info",
        message: parts.filter((part) => typeof part !== "object").join(" "),
        facts: Object.assign({}, ...facts.map((part) => outward(part))),
        ...(cause.reasons.length === 0 ? {} : { cause: Cause.pretty(cause) }),
        at: date
      }
      try {
        log(entry)
      } catch {
        // Observation never throws into the host (INV-1).
      }
    })
  ])

const levels: { readonly [level: string]: LogEntry["level"] } = {
  Trace: "trace",
  Debug: "debug",
  Info: "info",
  Warn: "warn",
  Error: "error",
  Fatal: "fatal"
}

const toStderr = ({ cause, facts, level, message }: LogEntry) =>
  console.error(
    `governance ${level}: ${message}`,
    ...(Object.keys(facts).length > 0 ? [facts] : []),
    ...(cause === undefined ? [] : [cause])
  )
