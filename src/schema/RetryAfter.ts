import { DateTime, Duration, Option } from "effect"

/** The longest that another side can make us wait. */
export const maxRetryAfter = Duration.minutes(5)

/** The header of that name, in seconds or as a date, between nothing and five minutes; null when it says neither (B-18). */
export const parseRetryAfter = (header: string | undefined, nowMs: number): Duration.Duration | null => {
  const text = header?.trim() ?? ""
  if (/^\d{1,20}$/.test(text)) return clamped(Number(text) * 1000)
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return null
  return Option.match(DateTime.make(text), {
    onNone: () => null,
    onSome: (date) => clamped(DateTime.toEpochMillis(date) - nowMs)
  })
}

const clamped = (ms: number) => Duration.millis(Math.min(Math.max(0, ms), Duration.toMillis(maxRetryAfter)))
