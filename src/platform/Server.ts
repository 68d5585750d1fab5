import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiMiddleware } from "effect/http-api"
import { WellFormed } from "../schema/api/Access.ts"
import { PlatformApi } from "../schema/api/PlatformApi.ts"
import { apiPath, maxBatch, maxMetadataBytes } from "../schema/BridgeWire.ts"
import { keptData, residencyNotes } from "../schema/DataResidency.ts"
import { WorkspaceId } from "../schema/Workspace.ts"
import { WorkspaceStore } from "../services/WorkspaceStore.ts"
import * as BodyLimits from "../web/BodyLimits.ts"
import * as SecurityHeaders from "../web/SecurityHeaders.ts"
import * as Crowd from "./Crowd.ts"
import * as Cursors from "./Cursors.ts"
import * as DashboardRoutes from "./DashboardRoutes.ts"
import * as GateRoutes from "./GateRoutes.ts"
import * as Ingest from "./Ingest.ts"
import * as IngestRoutes from "./IngestRoutes.ts"
import { PlatformSettings } from "./PlatformSettings.ts"
import * as RateLimits from "./RateLimits.ts"
import * as ResidencyPage from "./ResidencyPage.ts"
import * as SessionAccess from "./SessionAccess.ts"
import * as SignIn from "./SignIn.ts"
import * as SignInPage from "./SignInPage.ts"
import * as SignInRoutes from "./SignInRoutes.ts"
import * as TokenAccess from "./TokenAccess.ts"
import { logged } from "./Unavailable.ts"
import * as Witness from "./Witness.ts"
import * as WitnessRoutes from "./WitnessRoutes.ts"
import * as Workflows from "./Workflows.ts"
import * as WorkspaceRoutes from "./WorkspaceRoutes.ts"

export * as Mailer from "./Mailer.ts"
export { PlatformSettings, platformDefaults } from "./PlatformSettings.ts"
export { type PlatformLimits, platformLimits } from "./RateLimits.ts"
export * as SignIn from "./SignIn.ts"
export * as SmtpMailer from "./SmtpMailer.ts"
export * as Workflows from "./Workflows.ts"
export { WorkspaceId, WorkspaceStore }

/** What does not decode is answered with a word: never with what was sent, nor with what would have been right. */
const wellFormed = HttpApiMiddleware.layerSchemaErrorTransform(WellFormed, (error) =>
  error.kind === "Body" || error.kind === "ResponseHeaders"
    ? Effect.die(error)
    : Effect.fail({ error: "invalid" } as const)
)

const system = HttpApiBuilder.group(
  PlatformApi,
  "system",
  Effect.fnUntraced(function* (handlers) {
    const store = yield* WorkspaceStore
    const { contact, region } = yield* PlatformSettings
    const kept = keptData.map(({ holds, kept, what }) => ({ what, holds, kept }))
    return handlers
      .handle("health", () => Effect.as(logged(store.find(WorkspaceId.make("health"))), { status: "ok" } as const))
      .handle("residency", () => Effect.succeed({ region, contact, kept, notes: residencyNotes }))
  })
)

const groups = Layer.mergeAll(
  system,
  IngestRoutes.layer,
  GateRoutes.layer,
  SignInRoutes.layer,
  WorkspaceRoutes.layer,
  DashboardRoutes.layer,
  WitnessRoutes.layer
).pipe(
  Layer.provide(Layer.mergeAll(TokenAccess.layer, SessionAccess.layer, wellFormed)),
  Layer.provide(Layer.mergeAll(Cursors.layer, Ingest.layer, Workflows.layer, SignIn.layer, Witness.layer))
)

/** Canonical JSON may be written six times as long; everything else that we are sent is small. */
const bodyBytes = (path: string): number =>
  path === `${apiPath}/ingest/events/batch`
    ? maxBatch * (maxMetadataBytes + 8_192)
    : path === `${apiPath}/ingest/events`
      ? 6 * maxMetadataBytes
      : path === `${apiPath}/witness/checkpoints`
        ? 1_048_576
        : 65_536

/** What is no route says so like everything else. */
const elsewhere = HttpRouter.add(
  "*",
  "/*",
  Effect.succeed(HttpServerResponse.jsonUnsafe({ error: "not_found" }, { status: 404 }))
)

const routes = Layer.mergeAll(
  HttpApiBuilder.layer(PlatformApi, { openapiPath: "/openapi.json" }),
  ResidencyPage.layer,
  SignInPage.layer,
  elsewhere
).pipe(
  Layer.provide(groups),
  Layer.provide(Crowd.layer),
  Layer.provide(BodyLimits.layer({ bytes: bodyBytes, depth: 80 })),
  Layer.provide(SecurityHeaders.layer)
)

/** All routes of the platform, over its stores, `PlatformSettings` and `Mailer`, on the `HttpServer` that is provided. */
export const serveWith = (limits: RateLimits.PlatformLimits = RateLimits.platformLimits) =>
  HttpRouter.serve(routes.pipe(Layer.provide(RateLimits.layerWith(limits))), {
    disableLogger: true,
    disableListenLog: true,
    // Longer than any id or address that the contract allows.
    routerConfig: { maxParamLength: 1_024 }
  })

/** The same with the usual limits. */
export const layer = serveWith()
