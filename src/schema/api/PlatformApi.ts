import { HttpApi, OpenApi } from "effect/http-api"
import { WellFormed } from "./Access.ts"
import { DashboardApi } from "./DashboardApi.ts"
import { GateApi } from "./GateApi.ts"
import { IngestApi } from "./IngestApi.ts"
import { SignInApi } from "./SignInApi.ts"
import { SystemApi } from "./SystemApi.ts"
import { WitnessApi, WitnessViewApi } from "./WitnessApi.ts"
import { WorkspaceApi } from "./WorkspaceApi.ts"

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
