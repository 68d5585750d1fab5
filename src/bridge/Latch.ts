import { Effect, Option, Ref, Schema } from "effect"
import type { DisabledReason } from "../schema/BridgeStats.ts"
import { NotEntitled } from "../schema/BridgeWire.ts"
import type { Counters } from "./Counters.ts"

/** Set by 401 and by 402, and opened again by a restart alone: no half-on state, no second look (BRG-08). */
export interface Latch {
  readonly isSet: Effect.Effect<boolean>
  readonly set: (reason: DisabledReason, body: string) => Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (counters: Counters, ingestHost: string) {
  const reason = yield* Ref.make<DisabledReason | null>(null)

  return {
    isSet: Effect.map(Ref.get(reason), (now) => now !== null),
    set: Effect.fnUntraced(function* (why, body) {
      const first = yield* Ref.modify(reason, (now) => [now === null, now ?? why])
      if (!first) return
      counters.disabled = true
      counters.disabledReason = why
      const upgrade = why === "tier_not_entitled" ? upgradeUrl(body, ingestHost) : null
      yield* Effect.logWarning("platform.bridge_disabled", {
        reason: why,
        ...(upgrade === null ? {} : { upgrade_url: upgrade }),
        until: "the process is started again"
      })
    })
  } satisfies Latch
})

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(NotEntitled))

/** A link of the platform's own, as the URL parser writes it; whatever else it may be is not shown (B-24). */
const upgradeUrl = (body: string, ingestHost: string): string | null => {
  const text = Option.getOrUndefined(decode(body))?.upgrade_url ?? ""
  const url = URL.parse(text)
  if (url === null || url.protocol !== "https:" || url.username !== "" || url.password !== "") return null
  return isSameSite(url.hostname, ingestHost) ? url.href : null
}

const isSameSite = (a: string, b: string): boolean => a === b || isBelow(a, b) || isBelow(b, a)

const isBelow = (host: string, domain: string): boolean =>
  domain.includes(".") && !/^[\d.]+$/.test(domain) && host.endsWith(`.${domain}`)
