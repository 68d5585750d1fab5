import { appendFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Layer, Logger, Redacted } from "effect"
import { inject } from "vitest"
import * as Bridge from "../../src/bridge/Bridge.ts"
import * as EgressDoor from "../../src/layers/EgressDoor.ts"
import { recordOutside } from "../../src/schema/AuditReading.ts"
import type { AuditRecord } from "../../src/schema/AuditRecord.ts"
import type { BridgeStats } from "../../src/schema/BridgeStats.ts"
import { EventId, KeyId } from "../../src/schema/Ids.ts"
import { operatorDraft } from "../../src/schema/OperatorDraft.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Settings } from "../../src/services/Settings.ts"
import type { Mode } from "./Mode.ts"

const isAsExpected: Record<Mode, (stats: BridgeStats) => boolean> = {
  latched: ({ disabled, inFlight }) => disabled && inFlight === 0,
  hanging: ({ inFlight }) => inFlight === 1,
  refusing: ({ dropped5xx }) => dropped5xx >= 1
}

const attach = Effect.gen(function* () {
  const { directory, mode, port } = inject("bridged")
  const settings = yield* Settings
  // A bridge of the test's own is the test's subject, and without a log there is nothing to copy.
  if (settings.platform.bridgeEnabled || !settings.enableAudit) return
  const audit = yield* Audit
  const told: Array<(record: AuditRecord) => Effect.Effect<void, unknown>> = []
  const { stats } = yield* Bridge.make.pipe(
    Effect.provideService(Settings, {
      ...settings,
      egress: { ...settings.egress, allowedHosts: null },
      platform: {
        ...settings.platform,
        bridgeEnabled: true,
        ingestUrl: `http://127.0.0.1:${port}/api/v1/ingest/events`,
        ingestToken: Redacted.make("wf_0123456789abcdefghij"),
        trustedHosts: [`127.0.0.1:${port}`],
        allowedHosts: null,
        outbox: false
      }
    }),
    Effect.provideService(Audit, {
      ...audit,
      subscribe: (callback) => {
        told.push(callback)
        return audit.subscribe(callback)
      }
    }),
    Effect.provide(EgressDoor.layer, { local: true }),
    // Its own lines are the subject of test/bridge; here tests look at what everything else has to say.
    Effect.provide(Logger.layer([]), { local: true })
  )
  const write = (file: "begun" | "ended", counted: BridgeStats) =>
    appendFileSync(`${directory}/${file}-${process.pid}`, `${JSON.stringify(counted)}\n`)
  write("begun", yield* stats)
  // An event that is in no log: what the platform says of it is what the bridge is like from the first line of the test on.
  const draft = operatorDraft(EventId.make(crypto.randomUUID()), 0, "bridged", {})
  const ask = Effect.forEach(told, (tell) => tell(recordOutside(draft, KeyId.make("0".repeat(32)), "spooled")))
  yield* ask
  for (let i = 1; !isAsExpected[mode](yield* stats); i++) {
    if (i === 5_000) return yield* Effect.die(new Error(`the bridge is not ${mode}: ${JSON.stringify(yield* stats)}`))
    // A test that moves its clock meanwhile takes the answer's time away: asked again.
    if (i % 500 === 0 && (yield* stats).inFlight === 0) yield* ask
    yield* Effect.promise(() => sleep(1))
  }
  yield* Effect.addFinalizer(() => Effect.map(stats, (counted) => write("ended", counted)))
})

/**
 * Beside every governance that a test builds in the runs of `npm run test:bridged`: a live bridge, whose platform is already
 * latched, hanging or gone when the test begins (B-19). Takes up nothing that a test could provide or look at.
 */
export const attached = Layer.effectDiscard(Effect.orDie(attach))
