import { Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import * as EgressDoor from "../../src/layers/EgressDoor.ts"
import * as WitnessSink from "../../src/layers/WitnessSink.ts"
import type { WorkflowId, WorkspaceId } from "../../src/schema/Workspace.ts"
import * as CheckpointKey from "../../src/services/CheckpointKey.ts"
import type { CheckpointWitness } from "../../src/services/CheckpointSink.ts"
import { CheckpointStore } from "../../src/services/CheckpointStore.ts"
import * as Settings from "../../src/services/Settings.ts"
import { key } from "../checkpoints/World.ts"
import { person, send } from "../platform/Serving.ts"

export const portOf = Effect.map(HttpServer.HttpServer, ({ address }) => ("port" in address ? address.port : 0))

/** The settings of a deployment that a platform on this machine watches over. */
export const watched = (port: number, token: string) => ({
  platform: {
    bridgeEnabled: true,
    witness: true,
    ingestUrl: `http://127.0.0.1:${port}/api/v1/ingest/events`,
    ingestToken: token,
    trustedHosts: [`127.0.0.1:${port}`]
  }
})

/** A sink of its own, as a process opens it, for the log of a deployment; until the scope closes. */
export const openSink = (
  port: number,
  token: string,
  deployment: Effect.Effect<string>,
  signing: CheckpointKey.SigningKey = key
): Effect.Effect<CheckpointWitness, unknown, never> =>
  Effect.gen(function* () {
    const settings = yield* Settings.make(watched(port, token))
    return yield* WitnessSink.make(settings).pipe(
      Effect.provideService(CheckpointKey.CheckpointKey, { signing }),
      Effect.provideServiceEffect(
        CheckpointStore,
        Effect.map(Effect.succeed(null), () => CheckpointStore.of({ ...nothingStored, deploymentId: deployment }))
      ),
      Effect.provide(Layer.fresh(EgressDoor.layer.pipe(Layer.provide(Layer.succeed(Settings.Settings, settings)))))
    )
  }).pipe(Effect.scoped)

const unused = Effect.die("a witness asks for the deployment alone")
const nothingStored: CheckpointStore["Service"] = {
  deploymentId: unused,
  latest: unused,
  checkpoints: () => unused,
  leaves: () => unused,
  moved: () => unused,
  rowsAt: () => unused,
  commit: () => unused,
  retake: () => unused,
  note: () => unused,
  adoptions: unused,
  adopt: () => unused
}

interface Status {
  readonly logs: ReadonlyArray<{ readonly size: number; readonly note: string }>
  readonly alarms: ReadonlyArray<{
    readonly problem: string
    readonly answered_by: string | null
    readonly note: string
  }>
  readonly adoptions: ReadonlyArray<{
    readonly adoption_id: string
    readonly by: string
    readonly reason: string
    readonly from_size: number
    readonly size: number
    readonly kept_note: string
  }>
}

/** What people see of a workflow. */
export const statusOf = Effect.fnUntraced(function* (place: {
  readonly workspace: WorkspaceId
  readonly workflow: WorkflowId
}) {
  const { cookie } = yield* person(place.workspace, "viewer")
  const { body } = yield* send("GET", `/api/v1/workspaces/${place.workspace}/workflows/${place.workflow}/witness`, {
    cookie
  })
  return body as Status
})
