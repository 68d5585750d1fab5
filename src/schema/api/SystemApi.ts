import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { apiPath } from "../BridgeWire.ts"
import { Unavailable } from "./Refusals.ts"

/** What anybody may ask. */
export const SystemApi = HttpApiGroup.make("system")
  .add(
    HttpApiEndpoint.get("health", "/health", {
      success: Schema.Struct({ status: Schema.Literal("ok") }),
      error: Unavailable
    })
  )
  .add(
    // The same as the page for people, `/data-residency` (PLT-09).
    HttpApiEndpoint.get("residency", `${apiPath}/data-residency`, {
      success: Schema.Struct({
        region: Schema.String,
        contact: Schema.NullOr(Schema.String),
        kept: Schema.Array(Schema.Struct({ what: Schema.String, holds: Schema.String, kept: Schema.String })),
        notes: Schema.Array(Schema.String)
      })
    })
  )
