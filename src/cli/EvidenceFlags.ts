import { DateTime, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import type { EvidenceRequest } from "../services/ComplianceScope.ts"
import { UsageError } from "./CliFailure.ts"

const agent = Flag.String("agent").pipe(Flag.withMetavar("id"), Flag.withDescription("Only this agent"), Flag.optional)

const instant = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar("time"), Flag.withDescription(description), Flag.optional)

/** What a report or a bundle is about. */
export const evidenceFlags = {
  session: Flag.String("session").pipe(
    Flag.withAlias("session-id"),
    Flag.withMetavar("id"),
    Flag.withDescription("Only this session; may be repeated"),
    Flag.atLeast(0)
  ),
  agent,
  from: instant("from", "Only rows from this moment on: 2030-01-31 or 2030-01-31T12:00:00Z"),
  to: instant("to", "Only rows up to this moment; a date alone is its first moment")
}

export interface EvidenceInput {
  readonly session: ReadonlyArray<string>
  readonly agent: Option.Option<string>
  readonly from: Option.Option<string>
  readonly to: Option.Option<string>
}

export const evidenceRequest = Effect.fnUntraced(function* (input: EvidenceInput) {
  const fromMs = yield* momentOf("--from", input.from)
  const toMs = yield* momentOf("--to", input.to)
  if (fromMs !== undefined && toMs !== undefined && fromMs > toMs) {
    return yield* new UsageError({
      subject: "--from",
      problem: "is later than --to",
      todo: "Give the earlier moment first."
    })
  }
  const request: EvidenceRequest = {
    sessionIds: input.session.length === 0 ? undefined : input.session,
    agentId: Option.getOrUndefined(input.agent),
    fromMs,
    toMs
  }
  return request
})

/** With a zone, or a date alone: a time without one would mean another moment on another machine. */
const shape = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/

const momentOf = Effect.fnUntraced(function* (flag: string, given: Option.Option<string>) {
  if (Option.isNone(given)) return undefined
  const moment = shape.test(given.value) ? DateTime.make(given.value) : Option.none()
  if (Option.isSome(moment)) return DateTime.toEpochMillis(moment.value)
  return yield* new UsageError({
    subject: flag,
    problem: "is no time",
    todo: "Give a date such as 2030-01-31, or a time with its zone such as 2030-01-31T12:00:00Z."
  })
})
