import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Bridge from "../../src/bridge/Bridge.ts"
import type { BridgeStats } from "../../src/schema/BridgeStats.ts"
import { Audit } from "../../src/services/Audit.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { memory } from "../services/World.ts"
import { doorTo, type Scripted } from "./Platform.ts"

export const token = "wf_0123456789abcdefghij"
export const ingestUrl = "https://platform.example/api/v1/ingest/events"

export const platformOptions = (more: GovernanceOptions["platform"] = {}): GovernanceOptions => ({
  platform: { bridgeEnabled: true, ingestUrl, ingestToken: token, ...more }
})

/** All of governance in memory with the real bridge, to a platform that is no network. */
export const bridged = (platform: Scripted, options: GovernanceOptions = {}) =>
  Bridge.layer.pipe(
    Layer.provide(doorTo(platform)),
    Layer.provideMerge(memory({ ...options, ...platformOptions(options.platform) }))
  )

export const log = (kind: string, metadata: object = {}, agentId = "clerk") =>
  Audit.use((audit) => audit.log({ kind, agentId, sessionId: "today", metadata }))

export const stats = Effect.flatMap(Bridge.Bridge, (bridge) => bridge.stats)

/** Lets everything that can happen now happen. */
export const settle = Effect.andThen(
  TestClock.adjust(0),
  Effect.forEach(Array.from({ length: 100 }), () => Effect.yieldNow, { discard: true })
)

/** BRG-18: nothing is lost from sight. */
export const addsUp = (counted: BridgeStats) =>
  assert.strictEqual(
    counted.sent +
      counted.queueDepth +
      counted.inFlight +
      counted.droppedOverflow +
      counted.droppedDisabled +
      counted.dropped4xx +
      counted.dropped5xx +
      counted.dropped429 +
      counted.droppedSeqConflict +
      counted.droppedRefused +
      counted.skipped,
    counted.enqueued,
    JSON.stringify(counted)
  )
