import { Effect, Layer } from "effect"
import { RateLimitStore } from "../../services/RateLimitStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** Windows in the platform's own schema: one upsert a request. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("RateLimitStore")

  return RateLimitStore.of({
    take: (bucket, { limit, windowMs }, cost, nowMs) =>
      Effect.map(
        ask(
          "take",
          `INSERT INTO ${prefix}governance_rate_limits AS l (bucket, started_ms, used) VALUES ($1, $2::bigint, $3::bigint)
           ON CONFLICT (bucket) DO UPDATE SET
             started_ms = CASE WHEN l.started_ms + $4::bigint <= $2::bigint THEN $2::bigint ELSE l.started_ms END,
             used = CASE WHEN l.started_ms + $4::bigint <= $2::bigint THEN $3::bigint ELSE l.used + $3::bigint END
           RETURNING started_ms, used`,
          [bucket, BigInt(nowMs), BigInt(cost), BigInt(windowMs)]
        ),
        ([row]) => (Number(row?.[1]) <= limit ? null : Math.max(1, Number(row?.[0]) + windowMs - nowMs))
      ),
    sweep: (beforeMs) =>
      Effect.asVoid(
        ask("sweep", `DELETE FROM ${prefix}governance_rate_limits WHERE started_ms < $1::bigint`, [BigInt(beforeMs)])
      )
  })
})

export const layer = Layer.effect(RateLimitStore, make)
