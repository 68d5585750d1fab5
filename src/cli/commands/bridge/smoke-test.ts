import { Clock, Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { copyOf } from "../../../bridge/Copy.ts"
import { makeCounters } from "../../../bridge/Counters.ts"
import * as Latch from "../../../bridge/Latch.ts"
import * as Sender from "../../../bridge/Sender.ts"
import { type Answer, make as transport } from "../../../bridge/Transport.ts"
import * as EgressDoor from "../../../layers/EgressDoor.ts"
import { recordOutside } from "../../../schema/AuditReading.ts"
import { EventId, KeyId } from "../../../schema/Ids.ts"
import { operatorDraft } from "../../../schema/OperatorDraft.ts"
import { standard } from "../../../schema/Redaction.ts"
import * as Connection from "../../../services/PlatformConnection.ts"
import { Settings } from "../../../services/Settings.ts"
import { bridgeSettings } from "../../BridgeSettings.ts"
import { SmokeTestFailed, UsageError } from "../../CliFailure.ts"
import { answer } from "../../Output.ts"
import { facts } from "../../Table.ts"

/** Sends one event of its own to the platform, through all that the bridge's requests go through (BRG-19). Needs no database. */
export const smokeTest = Command.make("smoke-test").pipe(
  Command.withDescription("Send one event to the platform and say what it answered. It is not part of the log."),
  Command.withExamples([
    { command: "governance bridge smoke-test", description: "With the three GOVERNANCE_PLATFORM_ variables" },
    { command: "governance bridge smoke-test --trust-host 127.0.0.1:8800", description: "A platform on this machine" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const settings = yield* bridgeSettings
      const missing = Connection.missing(settings.platform)
      if (missing !== null) {
        return yield* new UsageError({
          subject: missing,
          problem: "is not set",
          todo: "Set it as the page of the workflow says, with GOVERNANCE_PLATFORM_BRIDGE_ENABLED=true for your program."
        })
      }
      const found = yield* Effect.scoped(send(settings)).pipe(
        Effect.provide(Layer.provide(EgressDoor.layer, Layer.succeed(Settings, settings)), { local: true })
      )
      if (found.answer._tag !== "Taken") return yield* new SmokeTestFailed(failureOf(found.answer))
      const { eventId, host, tookMs } = found
      yield* answer({ ok: true, host, eventId, tookMs }, () =>
        facts([
          ["platform", host],
          ["event", eventId],
          ["answered", `after ${tookMs} ms`],
          ["look", "at the workflow's timeline: one bridge.smoke_test of the agent governance"]
        ])
      )
    })
  )
)

const send = Effect.fnUntraced(function* (settings: Settings["Service"]) {
  const { egress, host, routes, token } = yield* Connection.make(settings)
  const counters = makeCounters("queue")
  const latch = yield* Latch.make(counters, host)
  const nowMs = yield* Clock.currentTimeMillis
  const eventId = EventId.make(crypto.randomUUID())
  const draft = operatorDraft(eventId, nowMs, "bridge.smoke_test", { sent_by: "governance bridge smoke-test" })
  const record = recordOutside(draft, KeyId.make("0".repeat(32)), "spooled")
  const sender = Sender.make(transport(egress, latch, token, { instance: crypto.randomUUID() }), routes, counters)
  const [said] = yield* sender([copyOf(record, standard)])
  return { answer: said!, eventId, host, tookMs: (yield* Clock.currentTimeMillis) - nowMs }
})

const failureOf = (
  said: Exclude<Answer, { readonly _tag: "Taken" }>
): { problem: SmokeTestFailed["problem"]; said: string } => {
  switch (said._tag) {
    case "Disabled":
      return {
        problem: "refused",
        said: "it answered 401 or 402: the token is unknown or revoked, or the plan lacks this"
      }
    case "TooMany":
      return { problem: "unreachable", said: "it answered 429 five times" }
    case "OutOfOrder":
      return { problem: "refused", said: "it wants another place in the sequence each time" }
    case "Rejected":
      return { problem: "refused", said: `it answered ${said.status}` }
    default:
      return { problem: said._tag === "Refused" ? "refused" : "unreachable", said: said.problem }
  }
}
