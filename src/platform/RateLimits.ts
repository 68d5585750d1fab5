import { createHash } from "node:crypto"
import { Clock, Context, Effect, Layer, Option, Schedule } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type RateLimit, RateLimitStore } from "../services/RateLimitStore.ts"
import { PlatformSettings } from "./PlatformSettings.ts"
import { logged } from "./Unavailable.ts"

/** How often each kind of caller may come (PLT-03, OQ-28). */
export interface PlatformLimits {
  /** Events of one workflow. */
  readonly events: RateLimit
  /** Requests with one token that send no events. */
  readonly gates: RateLimit
  /** Requests without a good token or session, from one address. */
  readonly strangers: RateLimit
  /** Sign-in links asked for by one address on the network. */
  readonly linksByIp: RateLimit
  /** Sign-in links for one mail address. */
  readonly linksByEmail: RateLimit
  /** Requests of one signed-in person. */
  readonly people: RateLimit
}

const minute = 60_000
export const platformLimits: PlatformLimits = {
  events: { limit: 30_000, windowMs: minute },
  gates: { limit: 3_000, windowMs: minute },
  strangers: { limit: 120, windowMs: minute },
  linksByIp: { limit: 20, windowMs: 15 * minute },
  linksByEmail: { limit: 5, windowMs: 15 * minute },
  people: { limit: 600, windowMs: minute }
}

/** Counts requests for all processes of a platform together. */
export class RateLimits extends Context.Service<
  RateLimits,
  {
    /** Fails with 429, and sets `Retry-After`, when whoever it is has come too often. */
    readonly count: (
      kind: keyof PlatformLimits,
      who: string,
      cost?: number
    ) => Effect.Effect<
      void,
      { readonly error: "rate_limited" } | { readonly error: "unavailable" },
      HttpServerRequest.HttpServerRequest
    >
  }
>()("effect-governance/platform/RateLimits") {}

export const layerWith = (limits: PlatformLimits) =>
  Layer.effect(
    RateLimits,
    Effect.gen(function* () {
      const store = yield* RateLimitStore
      const longest = Math.max(...Object.values(limits).map(({ windowMs }) => windowMs))
      const sweep = Effect.flatMap(Clock.currentTimeMillis, (nowMs) => store.sweep(nowMs - longest))
      yield* Effect.forkScoped(Effect.repeat(Effect.ignore(sweep), Schedule.spaced("10 minutes")))

      return RateLimits.of({
        count: Effect.fnUntraced(function* (kind, who, cost = 1) {
          const nowMs = yield* Clock.currentTimeMillis
          const waitMs = yield* logged(store.take(`${kind}:${keyOf(who)}`, limits[kind], cost, nowMs))
          if (waitMs === null) return
          // Spread by caller, or all of them come back in the same second (P-06).
          const seconds = Math.ceil(waitMs / 1000) + (Number.parseInt(keyOf(who).slice(0, 4), 16) % 8)
          yield* HttpEffect.appendPreResponseHandler((_, response) =>
            Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", `${seconds}`))
          )
          return yield* Effect.fail({ error: "rate_limited" } as const)
        })
      })
    })
  )

export const layer = layerWith(platformLimits)

/** Addresses of people and machines are not kept as they are. */
const keyOf = (who: string) => createHash("sha256").update(who).digest("hex").slice(0, 32)

/** Where a request comes from: the last hop that the proxy saw, or the other end of the connection. */
export const clientAddress = Effect.gen(function* () {
  const { trustProxy } = yield* PlatformSettings
  const request = yield* HttpServerRequest.HttpServerRequest
  const forwarded = trustProxy ? request.headers["x-forwarded-for"]?.split(",").at(-1)?.trim() : undefined
  return forwarded ?? Option.getOrElse(request.remoteAddress, () => "unknown")
})
