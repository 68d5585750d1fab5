import { type Clock, Effect } from "effect"

/** A clock that shows what the recording says, so that loop windows, time limits and days follow it. */
export interface RecordingClock {
  readonly clock: Clock.Clock
  /** The wall clock may go back where one session began before the end of another; the monotonic one stands still then. */
  readonly set: (ms: number) => void
}

export const make = (startMs: number): RecordingClock => {
  let now = startMs
  let monotonic = startMs
  const nanos = (ms: number) => BigInt(ms) * 1_000_000n
  return {
    set: (ms) => {
      monotonic += Math.max(0, ms - now)
      now = ms
    },
    clock: {
      currentTimeMillisUnsafe: () => now,
      currentTimeMillis: Effect.sync(() => now),
      currentTimeNanosUnsafe: () => nanos(now),
      currentTimeNanos: Effect.sync(() => nanos(now)),
      monotonicTimeNanosUnsafe: () => nanos(monotonic),
      monotonicTimeNanos: Effect.sync(() => nanos(monotonic)),
      // What sleeps is upkeep (renewing, sweeping, polling), and a replay has nothing to renew, to sweep or to poll.
      sleep: () => Effect.never
    }
  }
}
