import { Cause, Context, Exit, Option, Tracer } from "effect"
import type { AuditRecord } from "../schema/AuditRecord.ts"
import { type Attributes, isAttempt, isOutcome, type RowSpan, rowSpan } from "../schema/GenAiAttributes.ts"
import type { Redactor } from "../schema/Redaction.ts"
import { remembered } from "../schema/Remembered.ts"

/** A row on its way out, with the span under which its caller ran. */
export interface Sighting {
  readonly record: AuditRecord
  readonly parent: Option.Option<Tracer.AnySpan>
}

export interface SpansOptions {
  readonly redactor: Redactor
  readonly withMetadata: boolean
  /** Whether an unsampled parent silences its children; without it every row is exported. */
  readonly followSampling: boolean
}

/**
 * Makes spans of rows: one for a governed call, from its attempt to its outcome, with an event for each of the two; one for
 * every other row. A call whose outcome does not come is told by its attempt alone.
 */
export const make = (tracer: Tracer.Tracer, options: SpansOptions) => {
  const attempts = new Map<string, Sighting>()
  // Names repeat with every call.
  const short = remembered((value) => Option.map(Option.liftPredicate(value, isShort), options.redactor.text), 2_048)
  const redactor: Redactor = { ...options.redactor, text: (text) => short(text) ?? options.redactor.text(text) }

  const tell = ({ parent, record }: Sighting, begun: Sighting | undefined): void => {
    const row = rowSpan(record, redactor, options.withMetadata)
    const attempt = begun === undefined ? undefined : rowSpan(begun.record, redactor, options.withMetadata)
    const above = Option.filter(begun === undefined ? parent : Option.orElse(begun.parent, () => parent), isExported)
    const startTime = nanosOf((begun ?? { record }).record.at)
    const span = tracer.span({
      name: row.name,
      kind: row.kind,
      parent: above,
      annotations: Context.empty(),
      links: [],
      startTime,
      root: Option.isNone(above),
      sampled: !options.followSampling || Option.match(above, { onNone: () => true, onSome: ({ sampled }) => sampled })
    })
    for (const [key, value] of Object.entries({ ...promptOf(attempt), ...row.attributes })) span.attribute(key, value)
    const endTime = max(startTime, nanosOf(record.at))
    if (begun !== undefined && attempt !== undefined) span.event(nameOf(attempt), startTime, eventOf(attempt))
    span.event(nameOf(row), endTime, eventOf(row))
    span.end(endTime, row.error === null ? Exit.void : Exit.failCause(causeOf(row.error)))
  }

  return {
    tell: (sighting: Sighting): void => {
      const { record } = sighting
      if (isAttempt(record.kind)) attempts.set(record.id, sighting)
      else {
        const begun = isOutcome(record) ? attempts.get(record.parentEventId ?? "") : undefined
        if (begun !== undefined) attempts.delete(begun.record.id)
        tell(sighting, begun)
      }
      const [oldest] = attempts.size > maxOpen ? attempts.values() : []
      if (oldest === undefined) return
      attempts.delete(oldest.record.id)
      tell(oldest, undefined)
    },
    /** Attempts that have no outcome yet, told as they are: nothing more will come. */
    tellRest: (): void => {
      const rest = [...attempts.values()]
      attempts.clear()
      for (const sighting of rest) tell(sighting, undefined)
    }
  }
}

/** Calls under way whose attempt is remembered; of more the oldest is told without its outcome. */
const maxOpen = 4_096

/** The nearest span above that some tracer sends somewhere: the default one's are seen by nobody. */
export const nearestExported = (span: Option.Option<Tracer.AnySpan>): Option.Option<Tracer.AnySpan> =>
  Option.flatMap(span, (one) =>
    isExported(one) ? Option.some(one) : one._tag === "Span" ? nearestExported(one.parent) : Option.none()
  )

const isShort = (value: unknown): value is string => typeof value === "string" && value.length <= 128

const isExported = (span: Tracer.AnySpan): boolean =>
  !(span instanceof Tracer.NativeSpan) && !Context.get(span.annotations, Tracer.DisablePropagation)

// A stored time is ISO 8601 or empty.
const nanosOf = (at: string): bigint => BigInt(Date.parse(at) || 0) * 1_000_000n
const max = (a: bigint, b: bigint) => (a > b ? a : b)

const nameOf = ({ attributes }: RowSpan): string => String(attributes["governance.event.kind"])

/** What only the attempt's row says and belongs to the call. */
const promptOf = (attempt: RowSpan | undefined): Attributes =>
  Object.fromEntries(Object.entries(attempt?.attributes ?? {}).filter(([key]) => key.startsWith("governance.prompt.")))

const eventOf = ({ attributes }: RowSpan): Record<string, unknown> =>
  Object.fromEntries(Object.entries(attributes).filter(([key]) => key.startsWith("governance.event.")))

/** Without a stack: it would be the exporter's own. */
const causeOf = ({ message, type }: NonNullable<RowSpan["error"]>): Cause.Cause<Error> => {
  const error = new Error(message)
  error.name = type
  error.stack = `${type}: ${message}`
  return Cause.fail(error)
}
