import { Clock, DateTime, Duration, Effect, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import type { AuditRecord } from "../../schema/AuditRecord.ts"
import { terminalJson, terminalText } from "../../schema/TerminalText.ts"
import { Audit } from "../../services/Audit.ts"
import { UsageError } from "../CliFailure.ts"
import { withReader } from "../Environment.ts"
import { session } from "../Names.ts"
import { notice, print, terminalWidth } from "../Output.ts"
import { governance } from "../Root.ts"

/** Follows the audit log until it is interrupted. Exact by chain: nothing is left out, whatever order transactions commit in. */
export const tail = Command.make("tail", {
  session,
  agent: Flag.String("agent").pipe(Flag.withMetavar("id"), Flag.withDescription("Only this agent"), Flag.optional),
  kind: Flag.String("kind").pipe(
    Flag.withMetavar("kind"),
    Flag.withDescription("Only this kind, or those that begin with it when it ends in *; may be repeated"),
    Flag.atLeast(0)
  ),
  since: Flag.String("since").pipe(
    Flag.withMetavar("time"),
    Flag.withDescription("Begin in the past: 10m, 2h, 1d or an ISO time in UTC"),
    Flag.optional
  )
}).pipe(
  Command.withDescription("Follow the audit log live. Ends with Ctrl-C."),
  Command.withExamples([
    { command: "governance tail", description: "Everything from now on" },
    { command: "governance tail --agent billing-agent --since 10m", description: "One agent, from ten minutes ago" },
    {
      command: "governance tail --kind 'scope.*' --kind budget.exceeded --json",
      description: "Refusals, as JSON lines"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const { json } = yield* governance
      const audit = yield* Audit
      const since = Option.isSome(input.since) ? yield* momentOf(input.since.value) : undefined
      const width = yield* terminalWidth
      const wanted = (record: AuditRecord) =>
        (Option.isNone(input.session) || record.sessionId === input.session.value) &&
        (Option.isNone(input.agent) || record.agentId === input.agent.value) &&
        (input.kind.length === 0 || input.kind.some((pattern) => fits(pattern, record.kind)))
      if (!json) yield* notice("Following the audit log; Ctrl-C ends it.")
      yield* audit.tail(since === undefined ? {} : { sinceMs: since }).pipe(
        Stream.filter(wanted),
        Stream.runForEach((record) => print(json ? terminalJson({ ...record }) : line(record, width)))
      )
    }, withReader)
  )
)

/** `width` cuts the metadata, never what identifies the event. */
const line = (record: AuditRecord, width: number | undefined): string => {
  const facts = [
    record.at,
    terminalText(record.kind, 128).padEnd(18),
    terminalText(record.agentId, 256).padEnd(16),
    terminalText(`${record.chain}#${record.seq}`, 300),
    ...(record.model === null ? [] : [`model=${terminalText(record.model, 128)}`])
  ].join("  ")
  const metadata = terminalJson(record.metadata)
  if (metadata === "null" || metadata === "{}") return facts
  const room = width === undefined ? 2000 : Math.max(20, width - facts.length - 24)
  return `${facts}  ${terminalText(metadata, room)}`
}

const fits = (pattern: string, kind: string) =>
  pattern.endsWith("*") ? kind.startsWith(pattern.slice(0, -1)) : kind === pattern

const momentOf = Effect.fnUntraced(function* (text: string) {
  const amount = /^(\d{1,6})\s?(s|m|h|d)$/.exec(text.trim())
  if (amount !== null) {
    const back = Duration.toMillis(Duration.seconds(Number(amount[1]) * (seconds[amount[2] ?? "s"] ?? 1)))
    return (yield* Clock.currentTimeMillis) - back
  }
  const moment = /^\d{4}-\d\d-\d\d/.test(text) ? DateTime.make(text) : Option.none()
  if (Option.isSome(moment)) return DateTime.toEpochMillis(moment.value)
  return yield* new UsageError({
    subject: "--since",
    problem: "is no time",
    todo: "Give 10m, 2h, 1d, or an ISO time such as 2030-01-31T12:00:00Z."
  })
})

const seconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }
