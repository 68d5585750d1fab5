import { Clock, Duration, Effect, Layer } from "effect"

/** The clock of the system, with timers that keep no process alive: polling and sweeping are no reason to stay. */
export const layer = Layer.effect(
  Clock.Clock,
  Effect.map(
    Clock.Clock,
    (clock): Clock.Clock => ({
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
      currentTimeMillis: clock.currentTimeMillis,
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      currentTimeNanos: clock.currentTimeNanos,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => sleep(Duration.toMillis(duration))
    })
  )
)

/** The longest that a timer of Node can run. */
const longest = 2 ** 31 - 1

const sleep = (millis: number): Effect.Effect<void> => {
  if (millis <= 0) return Effect.yieldNow
  if (millis === Number.POSITIVE_INFINITY) return Effect.never
  return Effect.callback<void>((resume) => {
    const after = millis > longest ? sleep(millis - longest) : Effect.void
    const timer = setTimeout(() => resume(after), Math.min(millis, longest)).unref()
    return Effect.sync(() => clearTimeout(timer))
  })
}
