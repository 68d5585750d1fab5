import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { apiPath, IngestAccepted, IngestBatch, IngestEvent, Instance, instanceHeader } from "../BridgeWire.ts"
import { RouteFeature, TokenAccess } from "./Access.ts"
import { EventConflict, Invalid, NotFound, RateLimited, SeqOutOfOrder, TooLarge, Unavailable } from "./Refusals.ts"

const headers = Schema.Struct({ [instanceHeader]: Schema.optionalKey(Instance) })
const error = [SeqOutOfOrder, EventConflict, NotFound, RateLimited, Unavailable, Invalid, TooLarge] as const

/** Where bridges send copies of events (PLT-03). An answer of 2xx is given after the commit (P-07). */
export const IngestApi = HttpApiGroup.make("ingest")
  .add(
    HttpApiEndpoint.post("event", "/ingest/events", { headers, payload: IngestEvent, success: IngestAccepted, error })
  )
  .add(
    HttpApiEndpoint.post("batch", "/ingest/events/batch", {
      headers,
      payload: IngestBatch,
      success: IngestAccepted,
      error
    })
  )
  .middleware(TokenAccess)
  .annotate(RouteFeature, "ingest")
  .prefix(apiPath)
