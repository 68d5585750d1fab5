import { createHash } from "node:crypto"
import { Clock, Context, Effect, Layer, Result } from "effect"
import { contentOf, type IngestEvent, maxMetadataBytes } from "../schema/BridgeWire.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import { normaliseIdentifier } from "../schema/Identifier.ts"
import { AgentId, SessionId } from "../schema/Ids.ts"
import { jsonLimits, snapshot } from "../schema/Json.ts"
import * as Redaction from "../schema/Redaction.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { WorkflowPlace } from "../schema/Workspace.ts"
import { type IngestRow, IngestStore, type IngestVerdict } from "../services/IngestStore.ts"

/** What a sender is told: as the store's verdict, or that a value is beyond what may be kept (PLT-07). */
export type IngestAnswer = IngestVerdict | { readonly _tag: "TooLarge" } | { readonly _tag: "Invalid" }

/** Takes copies of events from bridges: without their secrets, each once, in the order of their sender (PLT-03, PLT-07, P-08). */
export class Ingest extends Context.Service<
  Ingest,
  {
    readonly take: (
      place: WorkflowPlace,
      instance: string | undefined,
      events: ReadonlyArray<IngestEvent>
    ) => Effect.Effect<IngestAnswer, StoreError>
  }
>()("effect-governance/platform/Ingest") {}

export const make = Effect.gen(function* () {
  const store = yield* IngestStore

  return Ingest.of({
    take: Effect.fn("Ingest.take")(function* (place, instance, events) {
      const rows: Array<IngestRow> = []
      for (const event of events) {
        const row = rowOf(event)
        if (Result.isFailure(row)) return { _tag: row.failure }
        rows.push(row.success)
      }
      return yield* store.append(place, instance ?? unnamed, rows, yield* Clock.currentTimeMillis)
    })
  })
})

export const layer = Layer.effect(Ingest, make)

/** Senders that do not name themselves share one count. */
const unnamed = "-"

/** Secrets go before anything is kept or hashed, so that no digest can confirm a guess (PLT-07). */
const rowOf = (event: IngestEvent): Result.Result<IngestRow, "TooLarge" | "Invalid"> => {
  const given = snapshot(event.metadata, { ...jsonLimits, bytes: maxMetadataBytes })
  if (Result.isFailure(given)) return Result.fail(/bytes/.test(given.failure.problem) ? "TooLarge" : "Invalid")
  const eventType = normaliseIdentifier(Redaction.standard.text(event.event_type))
  if (eventType === "") return Result.fail("Invalid")
  const safe: IngestEvent = {
    ...event,
    event_type: eventType,
    agent_id: AgentId.make(Redaction.standard.text(event.agent_id).slice(0, 256)),
    session_id:
      event.session_id === null ? null : SessionId.make(Redaction.standard.text(event.session_id).slice(0, 256)),
    metadata: storable(Redaction.standard.json(given.success))
  }
  return Result.succeed({
    event: safe.event_id,
    seq: safe.seq,
    eventType,
    agent: safe.agent_id,
    session: safe.session_id,
    createdAt: safe.created_at,
    metadata: canonicalize(safe.metadata),
    sdkVersion: safe.sdk_version,
    digest: createHash("sha256").update(contentOf(safe)).digest("hex")
  })
}

// Half a character has no UTF-8; the redactor has bounded the depth.
const storable = (value: Redaction.Safe): Redaction.Safe => {
  if (typeof value === "string") return value.toWellFormed()
  if (typeof value !== "object" || value === null) return value
  if (isArray(value)) return value.map(storable)
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toWellFormed(), storable(member)]))
}

const isArray = (value: object): value is ReadonlyArray<Redaction.Safe> => Array.isArray(value)
