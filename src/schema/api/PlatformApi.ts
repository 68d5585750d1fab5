import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { WellFormed } from "./Access.ts"
import { DashboardApi } from "./DashboardApi.ts"
import { GateApi } from "./GateApi.ts"
import { IngestApi } from "./IngestApi.ts"
import { Unavailable } from "./Refusals.ts"
import { SignInApi } from "./SignInApi.ts"
import { WitnessApi, WitnessViewApi } from "./WitnessApi.ts"
import { WorkspaceApi } from "./WorkspaceApi.ts"

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
  .add(SignInApi)
  .add(WorkspaceApi)
  .add(DashboardApi)
  .add(WitnessApi)
  .add(WitnessViewApi)
  .middleware(WellFormed)
  .annotateMerge(OpenApi.annotations({ title: "effect-governance platform", version: "1" }))
