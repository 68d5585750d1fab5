import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { apiPath, GateForward, GateResolution, LocalResolution } from "../BridgeWire.ts"
import { GateRequestId } from "../GateRequest.ts"
import { RouteFeature, TokenAccess } from "./Access.ts"
import { Invalid, NotFound, Unavailable } from "./Refusals.ts"

/** The request's id is known with another content. */
const GateDiffers = Schema.Struct({ error: Schema.Literal("gate_differs") }).pipe(HttpApiSchema.status(409))
const params = { id: GateRequestId }

/** Where bridges forward requests for approval and ask what became of them (PLT-04, OQ-17). */
export const GateApi = HttpApiGroup.make("gates")
  .add(
    HttpApiEndpoint.post("forward", "/bridge/gates", {
      payload: GateForward,
      success: GateResolution,
      error: [GateDiffers, Invalid, NotFound, Unavailable]
    })
  )
  .add(
    HttpApiEndpoint.get("resolution", "/bridge/gates/:id/resolution", {
      params,
      success: GateResolution,
      error: [NotFound, Unavailable]
    })
  )
  .add(
    HttpApiEndpoint.post("settle", "/bridge/gates/:id/resolution", {
      params,
      payload: LocalResolution,
      success: GateResolution,
      error: [Invalid, NotFound, Unavailable]
    })
  )
  .middleware(TokenAccess)
  .annotate(RouteFeature, "approvals")
  .prefix(apiPath)
