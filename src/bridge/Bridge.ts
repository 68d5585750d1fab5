import { Context, Effect, Layer } from "effect"
import { type BridgeStats, noStats } from "../schema/BridgeStats.ts"
import { standard } from "../schema/Redaction.ts"
import * as Connection from "../services/PlatformConnection.ts"
import * as PooledRandom from "../services/PooledRandom.ts"
import { Settings } from "../services/Settings.ts"
import { makeCounters } from "./Counters.ts"
import * as Forwarding from "./Forwarding.ts"
import * as GateInbox from "./GateInbox.ts"
import * as Latch from "./Latch.ts"
import * as Outbox from "./Outbox.ts"
import * as OwnServer from "./OwnServer.ts"
import * as Sender from "./Sender.ts"
import * as Transport from "./Transport.ts"

/**
 * Shows a platform what happens here, and lets people decide there too. Off unless three settings are given; not a durable
 * queue, not on the path of enforcement, and nothing that it meets reaches the host (BRG-01, INV-1, DOC-03).
 */
export class Bridge extends Context.Service<
  Bridge,
  {
    /** What was sent, what was not and why (BRG-18). */
    readonly stats: Effect.Effect<BridgeStats>
  }
>()("effect-governance/bridge/Bridge") {}

const off = Bridge.of({ stats: Effect.succeed(noStats) })

/** Fails for settings that are wrong, never for a platform that does not answer. */
export const make = Effect.gen(function* () {
  const settings = yield* Settings
  const { enableAudit, platform } = settings
  const { bridgeEnabled, ingestToken, ingestUrl } = platform
  if (!bridgeEnabled) {
    // Somebody has given half of what it takes: seen now, not looked for later (BRG-02, B-15).
    if (ingestUrl !== null || ingestToken !== null) {
      yield* Effect.logInfo("platform.bridge_off", { missing: "GOVERNANCE_PLATFORM_BRIDGE_ENABLED" })
    }
    return off
  }
  const missing = Connection.missing(platform)
  if (missing !== null || ingestUrl === null) {
    yield* Effect.logWarning("platform.bridge_incomplete", { missing, effect: "nothing is sent" })
    return off
  }
  if (!enableAudit)
    return yield* Connection.wrong("bridgeEnabled", "needs enableAudit: what is sent is what was logged")
  const { egress, host, routes, token } = yield* Connection.make(settings)

  const counters = makeCounters(platform.outbox ? "outbox" : "queue")
  const latch = yield* Latch.make(counters, host)
  yield* announce(ingestUrl)
  const own = yield* OwnServer.watch(routes)
  const open = (instance: string) => Transport.make(egress, latch, token, { instance, own })
  const instance = crypto.randomUUID()
  const { count } = platform.outbox
    ? yield* Outbox.make({ open, routes, latch, counters, workflow: platform.workflow })
    : yield* Forwarding.make(platform.queueSize, Sender.make(open(instance), routes, counters), latch, counters)
  yield* GateInbox.attach(open(instance), routes, latch, counters)
  return Bridge.of({ stats: Effect.map(count, () => ({ ...counters })) })
})

/** Needs all of governance below it, as `Memory.layer` and `Postgres.layer` provide it. */
export const layer = Layer.effect(Bridge, make).pipe(Layer.provide(PooledRandom.layer))

/** Once a process, however often the layer is built in it (BRG-03, C-03, C-04). */
let announced = false
const announce = (ingestUrl: string) =>
  Effect.suspend(() => {
    if (announced) return Effect.void
    announced = true
    const { origin, pathname } = new URL(ingestUrl)
    // A path may hold a secret as well; one that is not made of plain words is not shown at all.
    const path = /^(?:\/[\w.-]+)*\/?$/.test(pathname) ? pathname : "/..."
    return Effect.logWarning("platform.bridge_enabled", {
      url: standard.text(`${origin}${path}`),
      data_residency: `${origin}/data-residency`,
      effect: "copies of audit events leave this process"
    })
  })
