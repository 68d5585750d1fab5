import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import type { Feature, Tier, TokenId, WorkflowPlace } from "../Workspace.ts"
import { Invalid, NotEntitled, RateLimited, TooLarge, Unauthorized, Unavailable } from "./Refusals.ts"

/** What tiers must include for a group's routes; without one, every tier does (PLT-08). */
export const RouteFeature = Context.Reference<Feature | null>("effect-governance/schema/api/RouteFeature", {
  defaultValue: () => null
})

/** The workflow whose token a request carries: the only place that it can reach (P-03, P-09). */
export class CurrentWorkflow extends Context.Service<
  CurrentWorkflow,
  WorkflowPlace & { readonly token: TokenId; readonly tier: Tier }
>()("effect-governance/schema/api/CurrentWorkflow") {}

/** Lets bridges in: `Authorization: Bearer wf_...`. */
export class TokenAccess extends HttpApiMiddleware.Service<TokenAccess, { provides: CurrentWorkflow }>()(
  "effect-governance/schema/api/TokenAccess",
  {
    error: [Unauthorized, NotEntitled, RateLimited, Unavailable],
    security: { workflowToken: HttpApiSecurity.bearer }
  }
) {}

/** Answers whatever does not fit the contract with one word, and never with what was sent. */
export class WellFormed extends HttpApiMiddleware.Service<WellFormed>()("effect-governance/schema/api/WellFormed", {
  error: [Invalid, TooLarge]
}) {}
