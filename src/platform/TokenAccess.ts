import { Context, Effect, Layer, Redacted } from "effect"
import { CurrentWorkflow, RouteFeature, TokenAccess } from "../schema/api/Access.ts"
import { isEntitled } from "../schema/Workspace.ts"
import { WorkspaceStore } from "../services/WorkspaceStore.ts"
import { PlatformSettings } from "./PlatformSettings.ts"
import { RateLimits } from "./RateLimits.ts"
import * as Stranger from "./Stranger.ts"
import { logged } from "./Unavailable.ts"
import { digestOf, isWorkflowToken } from "./WorkflowToken.ts"

/** Finds the workflow of a token by its digest, at each request anew: a revoked one ends at once (P-03). */
export const layer = Layer.effect(
  TokenAccess,
  Effect.gen(function* () {
    const store = yield* WorkspaceStore
    const limits = yield* RateLimits
    const settings = yield* PlatformSettings
    const stranger = yield* Stranger.make

    return TokenAccess.of({
      workflowToken: Effect.fnUntraced(function* (handler, { credential, group }) {
        if (!isWorkflowToken(Redacted.value(credential))) return yield* stranger
        const owner = yield* logged(store.owner(digestOf(credential)))
        if (owner === null) return yield* stranger
        const feature = Context.get(group.annotations, RouteFeature)
        if (feature !== null && !isEntitled(owner.tier, feature)) {
          return yield* Effect.fail({ error: "tier_not_entitled" as const, upgrade_url: settings.upgradeUrl })
        }
        if (feature !== "ingest") yield* limits.count("gates", owner.token)
        return yield* Effect.provideService(handler, CurrentWorkflow, owner)
      })
    })
  })
)
