import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { CurrentWorkflow } from "../schema/api/Access.ts"
import { PlatformApi } from "../schema/api/PlatformApi.ts"
import { type IngestEvent, instanceHeader } from "../schema/BridgeWire.ts"
import { Ingest } from "./Ingest.ts"
import { RateLimits } from "./RateLimits.ts"
import { logged } from "./Unavailable.ts"

/** The routes that bridges send events to. */
export const layer = HttpApiBuilder.group(
  PlatformApi,
  "ingest",
  Effect.fnUntraced(function* (handlers) {
    const ingest = yield* Ingest
    const limits = yield* RateLimits

    const take = Effect.fnUntraced(function* (instance: string | undefined, events: ReadonlyArray<IngestEvent>) {
      const place = yield* CurrentWorkflow
      yield* limits.count("events", place.workflow, events.length)
      const answer = yield* logged(ingest.take(place, instance, events))
      switch (answer._tag) {
        case "Taken":
          return { accepted: answer.stored, duplicates: answer.duplicates, expected_seq: answer.expected }
        case "OutOfOrder":
          return yield* Effect.fail({ error: "seq_out_of_order" as const, expected_seq: answer.expected })
        case "Conflict":
          return yield* Effect.fail({
            error: "event_id_conflict" as const,
            event_id: events[answer.index]?.event_id ?? events[0]!.event_id
          })
        case "TooLarge":
          return yield* Effect.fail({ error: "too_large" as const })
        case "Invalid":
          return yield* Effect.fail({ error: "invalid" as const })
        case "NoWorkflow":
          return yield* Effect.fail({ error: "not_found" as const })
      }
    })

    return handlers
      .handle("event", ({ headers, payload }) => take(headers[instanceHeader], [payload]))
      .handle("batch", ({ headers, payload }) => take(headers[instanceHeader], payload.events))
  })
)
