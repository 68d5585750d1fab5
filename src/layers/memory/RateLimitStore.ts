import { Effect, Layer } from "effect"
import { RateLimitStore } from "../../services/RateLimitStore.ts"

/** Windows of this process alone. */
export const make = Effect.sync(() => {
  const windows = new Map<string, { readonly startedMs: number; readonly used: number }>()
  return RateLimitStore.of({
    take: (bucket, { limit, windowMs }, cost, nowMs) =>
      Effect.sync(() => {
        const known = windows.get(bucket)
        const current = known === undefined || known.startedMs + windowMs <= nowMs ? null : known
        const startedMs = current?.startedMs ?? nowMs
        const used = (current?.used ?? 0) + cost
        windows.set(bucket, { startedMs, used })
        return used <= limit ? null : startedMs + windowMs - nowMs
      }),
    sweep: (beforeMs) =>
      Effect.sync(() => {
        for (const [bucket, { startedMs }] of windows) if (startedMs < beforeMs) windows.delete(bucket)
      })
  })
})

export const layer = Layer.effect(RateLimitStore, make)
