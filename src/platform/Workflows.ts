import { Clock, Context, Effect, Layer, type Redacted } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import { type TokenId, WorkflowId, type WorkflowPlace, type WorkspaceId } from "../schema/Workspace.ts"
import { type WorkflowRow, WorkspaceStore } from "../services/WorkspaceStore.ts"
import { newId, newToken } from "./WorkflowToken.ts"

/** A token at the one moment when it can be seen. */
export interface ShownToken {
  readonly token: TokenId
  readonly secret: Redacted.Redacted<string>
}

/** Makes workflows and the tokens that bridges send with (PLT-02). */
export class Workflows extends Context.Service<
  Workflows,
  {
    /** Null when the workspace has one of that name, or is none itself. */
    readonly create: (
      workspace: WorkspaceId,
      name: string
    ) => Effect.Effect<(ShownToken & { readonly workflow: WorkflowRow }) | null, StoreError>
    /** Another token beside those that there are, so that they can be exchanged without a gap. Null for no such workflow. */
    readonly addToken: (place: WorkflowPlace) => Effect.Effect<ShownToken | null, StoreError>
    /** From now on nothing is accepted with it. False when it was not good any more. */
    readonly revoke: (place: WorkflowPlace, token: TokenId) => Effect.Effect<boolean, StoreError>
  }
>()("effect-governance/platform/Workflows") {}

export const make = Effect.gen(function* () {
  const store = yield* WorkspaceStore

  return Workflows.of({
    create: Effect.fn("Workflows.create")(function* (workspace, name) {
      const nowMs = yield* Clock.currentTimeMillis
      const { row, secret } = yield* newToken(nowMs)
      const workflow = { workspace, workflow: WorkflowId.make(yield* newId), name, createdMs: nowMs }
      const made = yield* store.createWorkflow(workflow, row)
      return made === "Created" ? { workflow, token: row.token, secret } : null
    }),
    addToken: Effect.fn("Workflows.addToken")(function* (place) {
      const { row, secret } = yield* newToken(yield* Clock.currentTimeMillis)
      return (yield* store.addToken(place, row)) ? { token: row.token, secret } : null
    }),
    revoke: Effect.fn("Workflows.revoke")(function* (place, token) {
      return yield* store.revokeToken(place, token, yield* Clock.currentTimeMillis)
    })
  })
})

export const layer = Layer.effect(Workflows, make)
