import { Effect } from "effect"
import { CurrentPerson } from "../schema/api/SessionAccess.ts"
import {
  type Feature,
  isEntitled,
  type MemberRole,
  mayAct,
  type WorkflowPlace,
  type WorkspaceId
} from "../schema/Workspace.ts"
import { WorkspaceStore } from "../services/WorkspaceStore.ts"
import { PlatformSettings } from "./PlatformSettings.ts"
import { logged } from "./Unavailable.ts"

/**
 * The door to everything of a workspace: whoever is no member gets the answer of a workspace that does not exist (P-09, P-11),
 * a member without the role 403, a workspace without the feature 402 (PLT-08).
 */
export const makeDoor = Effect.gen(function* () {
  const store = yield* WorkspaceStore
  const { upgradeUrl } = yield* PlatformSettings

  const member = Effect.fnUntraced(function* (workspace: WorkspaceId, needed: MemberRole) {
    const { email } = yield* CurrentPerson
    const found = (yield* logged(store.memberships(email))).find(({ id }) => id === workspace)
    if (found === undefined) return yield* Effect.fail({ error: "not_found" } as const)
    if (!mayAct(found.role, needed)) return yield* Effect.fail({ error: "forbidden" } as const)
    return { email, tier: found.tier }
  })

  const entitled = Effect.fnUntraced(function* (workspace: WorkspaceId, needed: MemberRole, feature: Feature) {
    const { email, tier } = yield* member(workspace, needed)
    if (!isEntitled(tier, feature)) {
      return yield* Effect.fail({ error: "tier_not_entitled" as const, upgrade_url: upgradeUrl })
    }
    return { email }
  })

  const inWorkflow = Effect.fnUntraced(function* (place: WorkflowPlace, needed: MemberRole, feature: Feature) {
    const found = yield* entitled(place.workspace, needed, feature)
    const workflow = yield* logged(store.workflow(place))
    return workflow === null ? yield* Effect.fail({ error: "not_found" } as const) : found
  })

  return { member, entitled, inWorkflow }
})
