import { Context, type Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"

export interface RateLimit {
  readonly limit: number
  readonly windowMs: number
}

/** Counts in windows, for all processes of a platform together. */
export class RateLimitStore extends Context.Service<
  RateLimitStore,
  {
    /** Counts `cost` in the bucket's window, in one step. Null when it was within the limit, else how long the window still lasts. */
    readonly take: (
      bucket: string,
      rate: RateLimit,
      cost: number,
      nowMs: number
    ) => Effect.Effect<number | null, StoreError>
    /** Forgets windows that began before. */
    readonly sweep: (beforeMs: number) => Effect.Effect<void, StoreError>
  }
>()("effect-governance/services/RateLimitStore") {}
