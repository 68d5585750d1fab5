import { DateTime, Duration, Option, Redacted } from "effect"

/**
 * A result as somebody expects it who has never seen Effect: an absent value is undefined, a moment is a `Date`, a duration is
 * milliseconds, a secret is `<redacted>`. Classes of this library, bytes and functions stay what they are.
 */
export const outward = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(outward)
  const prototype = Object.getPrototypeOf(value)
  // What comes out of JSON is a plain object: nobody can dress its keys up as one of the kinds below.
  if (prototype === Object.prototype || prototype === null) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, outward(part)]))
  }
  if (value instanceof Map) return new Map([...value].map(([key, part]) => [outward(key), outward(part)]))
  if (Option.isOption(value)) return outward(Option.getOrUndefined(value))
  if (DateTime.isDateTime(value)) return DateTime.toDateUtc(value)
  if (Duration.isDuration(value)) return Duration.toMillis(value)
  return Redacted.isRedacted(value) ? "<redacted>" : value
}
