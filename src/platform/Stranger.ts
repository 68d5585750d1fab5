import { Effect } from "effect"
import { PlatformSettings } from "./PlatformSettings.ts"
import { clientAddress, RateLimits } from "./RateLimits.ts"

/** Refuses whoever brings nothing that is known, and counts his attempts by address (P-03). */
export const make = Effect.gen(function* () {
  const limits = yield* RateLimits
  const settings = yield* PlatformSettings
  return Effect.gen(function* () {
    const address = yield* Effect.provideService(clientAddress, PlatformSettings, settings)
    yield* limits.count("strangers", address)
    return yield* Effect.fail({ error: "unauthorized" } as const)
  })
})
