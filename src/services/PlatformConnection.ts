import { Effect, Redacted, Result } from "effect"
import { type Routes, routesOf } from "../schema/BridgeWire.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { hostAndPort } from "../schema/EgressTarget.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import type { Egress } from "./Egress.ts"
import { EgressDoor } from "./EgressDoor.ts"

/** The way to one platform, as far as it can be checked before anything is sent. */
export interface PlatformConnection {
  readonly routes: Routes
  readonly token: Redacted.Redacted<string>
  readonly egress: Egress["Service"]
  readonly host: string
}

/** Which of the two things that nothing can be sent without is not there; null: none. */
export const missing = ({ ingestToken, ingestUrl }: GovernanceConfig["platform"]): string | null =>
  ingestUrl === null
    ? "GOVERNANCE_PLATFORM_INGEST_URL"
    : ingestToken === null
      ? "GOVERNANCE_PLATFORM_INGEST_TOKEN"
      : null

/** Fails with what is wrong about the settings, and shows neither token nor URL. */
export const make = Effect.fnUntraced(function* ({ egress, platform }: Pick<GovernanceConfig, "egress" | "platform">) {
  const token = yield* cleanToken(platform.ingestToken ?? Redacted.make(""))
  const url = platform.ingestUrl ?? ""
  const routes = yield* Effect.fromResult(Result.mapError(routesOf(url), (problem) => wrong("ingestUrl", problem)))
  const door = yield* (yield* EgressDoor).open(yield* rulesOf(egress, platform))
  yield* Effect.mapError(door.check(routes.events), ({ message }) => wrong("ingestUrl", message))
  return { routes, token, egress: door, host: new URL(url).hostname } satisfies PlatformConnection
})

export const wrong = (setting: string, problem: string) =>
  new ConfigurationError({ setting: `platform.${setting}`, problem })

/** White space around a token comes from the file it was mounted from; anything else that is no token would break a header (BRG-16, B-23). */
const cleanToken = (given: Redacted.Redacted<string>) => {
  const text = Redacted.value(given).trim()
  return /^[\x21-\x7e]{8,512}$/.test(text)
    ? Effect.succeed(Redacted.make(text, { label: "ingest token" }))
    : Effect.fail(wrong("ingestToken", "must be 8 to 512 printable ASCII characters without spaces"))
}

/** Code alone opens a private host; the variable and the general list narrow (DEC-11). */
const rulesOf = Effect.fnUntraced(function* (
  egress: GovernanceConfig["egress"],
  { allowedHosts, trustedHosts }: GovernanceConfig["platform"]
) {
  const places = Effect.fnUntraced(function* (setting: string, entries: ReadonlyArray<string>) {
    const known = entries.map(hostAndPort).filter((place) => place !== null)
    if (known.length === entries.length) return new Set(known)
    return yield* wrong(setting, "may hold plain `host` or `host:port` entries only")
  })
  const trusted = yield* places("trustedHosts", trustedHosts)
  const [first, ...others] = yield* Effect.forEach(
    [allowedHosts, egress.allowedHosts].filter((list) => list !== null),
    (list) => places("allowedHosts", list)
  )
  const allowed =
    first === undefined ? null : new Set([...first].filter((place) => others.every((list) => list.has(place))))
  return { trusted, allowed, allowMetadata: false }
})
