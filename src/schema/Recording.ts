import { DateTime, Option, Result, Schema } from "effect"

/** A moment: seconds or milliseconds since 1970, or ISO 8601 text. */
const Moment = Schema.Union([Schema.Finite, Schema.String])
const Name = Schema.Union([Schema.String, Schema.Finite])
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** One tool that the model asked for. `arguments` is JSON text, as providers send it, or the object itself. */
const ToolCall = Schema.Struct({
  id: Schema.optionalKey(Schema.NullOr(Schema.String)),
  function: Schema.Struct({
    name: Schema.NonEmptyString,
    arguments: Schema.optionalKey(Schema.Unknown)
  })
})

/** What the provider reported for a reply, under OpenAI's names (`prompt_tokens`) or the newer ones (`input_tokens`). */
const RecordedUsage = Schema.Struct({
  prompt_tokens: Schema.optionalKey(Count),
  completion_tokens: Schema.optionalKey(Count),
  input_tokens: Schema.optionalKey(Count),
  output_tokens: Schema.optionalKey(Count),
  prompt_tokens_details: Schema.optionalKey(Schema.NullOr(Schema.Struct({ cached_tokens: Schema.optionalKey(Count) }))),
  completion_tokens_details: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ reasoning_tokens: Schema.optionalKey(Count) }))
  )
})
export type RecordedUsage = typeof RecordedUsage.Type

/** One message of a chat, as OpenAI's API has it. Keys that are not named here are ignored. */
export const RecordedMessage = Schema.Struct({
  role: Schema.NonEmptyString,
  content: Schema.optionalKey(Schema.Unknown),
  tool_calls: Schema.optionalKey(Schema.NullOr(Schema.Array(ToolCall))),
  tool_call_id: Schema.optionalKey(Schema.NullOr(Schema.String)),
  model: Schema.optionalKey(Schema.NullOr(Schema.String)),
  usage: Schema.optionalKey(Schema.NullOr(RecordedUsage)),
  timestamp: Schema.optionalKey(Schema.NullOr(Moment)),
  created_at: Schema.optionalKey(Schema.NullOr(Moment))
})
export type RecordedMessage = typeof RecordedMessage.Type

/** One session, which is one line of a recording (BEY-14). */
export const RecordedSession = Schema.Struct({
  id: Schema.optionalKey(Schema.NullOr(Name)),
  session_id: Schema.optionalKey(Schema.NullOr(Name)),
  task_id: Schema.optionalKey(Schema.NullOr(Name)),
  trial: Schema.optionalKey(Schema.NullOr(Name)),
  agent: Schema.optionalKey(Schema.NullOr(Schema.String)),
  model: Schema.optionalKey(Schema.NullOr(Schema.String)),
  timestamp: Schema.optionalKey(Schema.NullOr(Moment)),
  created_at: Schema.optionalKey(Schema.NullOr(Moment)),
  messages: Schema.Array(RecordedMessage).check(Schema.isMaxLength(100_000))
})
export type RecordedSession = typeof RecordedSession.Type

/** Decodes one line. The failure says what is wrong in one line of text. */
export const parseSession = (line: string): Result.Result<RecordedSession, string> => {
  const json = Result.try((): unknown => JSON.parse(line))
  if (Result.isFailure(json)) return Result.fail("is not JSON")
  return Result.mapError(decode(json.success), (error) => `is no session: ${shortened(error.message)}`)
}

/** `id`, else `session_id`, else `<task_id>-<trial>`, else the number of the line. */
export const sessionIdOf = (session: RecordedSession, line: number): string => {
  const task = nameOf(session.task_id)
  const trial = nameOf(session.trial)
  const ofTask = task === undefined || trial === undefined ? task : `${task}-${trial}`
  return nameOf(session.id) ?? nameOf(session.session_id) ?? ofTask ?? `line-${line}`
}

/** The agent of a session that names none. */
export const unnamedAgent = "agent"

export const agentOf = (session: RecordedSession): string =>
  session.agent === undefined || session.agent === null || session.agent === "" ? unnamedAgent : session.agent

/** Milliseconds since 1970, or none where nothing usable was recorded. Numbers below 10^11 are seconds. */
export const momentOf = (at: Pick<RecordedMessage, "timestamp" | "created_at">): Option.Option<number> => {
  const value = at.timestamp ?? at.created_at ?? undefined
  if (value === undefined) return Option.none()
  const moment = DateTime.make(typeof value === "number" && Math.abs(value) < 1e11 ? value * 1000 : value)
  return Option.filter(
    Option.map(moment, (at) => Math.floor(DateTime.toEpochMillis(at))),
    (ms) => ms >= 0 && ms <= latest
  )
}

/** The text of a message's content: text itself, or the text of its parts. What is no text counts by its JSON. */
export const textOf = (content: unknown): string => {
  if (typeof content === "string") return content
  if (content === null || content === undefined) return ""
  return Array.isArray(content) ? content.map(partText).join("\n") : jsonText(content)
}

/** Arguments as a value, so that their order and spacing do not matter. Broken JSON stays text, and `broken` says so. */
export const argumentsOf = (given: unknown): { readonly value: unknown; readonly broken: boolean } => {
  if (typeof given !== "string") return { value: given ?? {}, broken: false }
  if (given.trim() === "") return { value: {}, broken: false }
  const parsed = Result.try((): unknown => JSON.parse(given))
  return Result.isSuccess(parsed) ? { value: parsed.success, broken: false } : { value: given, broken: true }
}

const decode = Schema.decodeUnknownResult(RecordedSession)

/** Microseconds of a later year than 9999 are a wrong unit, and Postgres and JavaScript know no such date. */
const latest = 253_402_300_799_999

const nameOf = (value: string | number | null | undefined): string | undefined =>
  value === undefined || value === null || value === "" ? undefined : String(value)

const partText = (part: unknown): string =>
  typeof part === "object" && part !== null && "text" in part && typeof part.text === "string"
    ? part.text
    : jsonText(part)

const jsonText = (value: unknown): string =>
  Result.getOrElse(
    Result.try(() => JSON.stringify(value) ?? ""),
    () => ""
  )

const shortened = (message: string): string =>
  message
    .split("\n")
    .map((part) => part.trim())
    .join(" ")
    .slice(0, 300)
