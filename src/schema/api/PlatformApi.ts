import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { WellFormed } from "./Access.ts"
import { GateApi } from "./GateApi.ts"
import { IngestApi } from "./IngestApi.ts"
import { Unavailable } from "./Refusals.ts"

const SystemApi = HttpApiGroup.make("system").add(
  HttpApiEndpoint.get("health", "/health", {
    success: Schema.Struct({ status: Schema.Literal("ok") }),
    error: Unavailable
  })
)

/** Everything that a platform serves to programs; its OpenAPI document is at `/openapi.json`. */
export const PlatformApi = HttpApi.make("governance-platform")
  .add(SystemApi)
  .add(IngestApi)
  .add(GateApi)
  .middleware(WellFormed)
  .annotateMerge(OpenApi.annotations({ title: "effect-governance platform", version: "1" }))
