import { Context, Effect, Layer, Redacted, Result } from "effect"
import { type BridgeStats, noStats } from "../schema/BridgeStats.ts"
import { routesOf } from "../schema/BridgeWire.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { hostAndPort } from "../schema/EgressTarget.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import { EgressDoor } from "../services/EgressDoor.ts"
import * as PooledRandom from "../services/PooledRandom.ts"
import { Settings } from "../services/Settings.ts"
import { makeCounters } from "./Counters.ts"
import * as Forwarding from "./Forwarding.ts"
import * as GateInbox from "./GateInbox.ts"
import * as Latch from "./Latch.ts"
import * as Outbox from "./Outbox.ts"
import * as Sender from "./Sender.ts"
import * as Transport from "./Transport.ts"

/**
 * Shows a platform what happens here, and lets people decide there too. Off unless three settings are given; not a durable
 * queue, not on the path of enforcement, and nothing that it meets reaches the host (BRG-01, INV-1, DOC-03).
 */
export class Bridge extends Context.Service<
  Bridge,
  {
    readonly stats: Effect.Effect<BridgeStats>
  }
>()("effect-governance/bridge/Bridge") {}

const off = Bridge.of({ stats: Effect.succeed(noStats) })

export const make = Effect.gen(function* () {
  const { egress, enableAudit, platform } = yield* Settings
  const { bridgeEnabled, ingestToken, ingestUrl } = platform
  if (!bridgeEnabled) {
    // Somebody has given half of what it takes: seen now, not looked for later (BRG-02, B-15).
    if (ingestUrl !== null || ingestToken !== null) {
      yield* Effect.logInfo("platform.bridge_off", { missing: "GOVERNANCE_PLATFORM_BRIDGE_ENABLED" })
    }
    return off
  }
  if (ingestUrl === null || ingestToken === null) {
    const missing = ingestUrl === null ? "GOVERNANCE_PLATFORM_INGEST_URL" : "GOVERNANCE_PLATFORM_INGEST_TOKEN"
    yield* Effect.logWarning("platform.bridge_incomplete", { missing, effect: "nothing is sent" })
    return off
  }
  if (!enableAudit) return yield* wrong("bridgeEnabled", "needs enableAudit: what is sent is read from the log")
  const token = yield* cleanToken(ingestToken)
  const routes = yield* Effect.fromResult(
    Result.mapError(routesOf(ingestUrl), (problem) => wrong("ingestUrl", problem))
  )
  const door = yield* (yield* EgressDoor).open(yield* rulesOf(egress, platform))
  yield* Effect.mapError(door.check(routes.events), ({ message }) => wrong("ingestUrl", message))

  const counters = makeCounters(platform.outbox ? "outbox" : "queue")
  const latch = yield* Latch.make(counters, new URL(ingestUrl).hostname)
  yield* announce(ingestUrl)
  const open = (instance: string) => Transport.make(door, latch, token, instance)
  const instance = crypto.randomUUID()
  const { count } = platform.outbox
    ? yield* Outbox.make({ open, routes, latch, counters, workflow: platform.workflow })
    : yield* Forwarding.make(platform.queueSize, Sender.make(open(instance), routes, counters), latch, counters)
  yield* GateInbox.attach(open(instance), routes, latch, counters)
  return Bridge.of({ stats: Effect.map(count, () => ({ ...counters })) })
})

/** Needs all of governance below it, as `Memory.layer` and `Postgres.layer` provide it. */
export const layer = Layer.effect(Bridge, make).pipe(Layer.provide(PooledRandom.layer))

const wrong = (setting: string, problem: string) => new ConfigurationError({ setting: `platform.${setting}`, problem })

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
  const lists = yield* Effect.forEach(
    [allowedHosts, egress.allowedHosts].filter((list) => list !== null),
    (list) => places("allowedHosts", list)
  )
  const [first, ...others] = lists
  const allowed =
    first === undefined ? null : new Set([...first].filter((place) => others.every((list) => list.has(place))))
  return { trusted, allowed, allowMetadata: false }
})

/** Once a process, however often the layer is built in it (BRG-03, C-03, C-04). */
let announced = false
const announce = (ingestUrl: string) =>
  Effect.suspend(() => {
    if (announced) return Effect.void
    announced = true
    const { origin, pathname } = new URL(ingestUrl)
    return Effect.logWarning("platform.bridge_enabled", {
      url: `${origin}${pathname}`,
      data_residency: `${origin}/data-residency`,
      effect: "copies of audit events leave this process"
    })
  })
