import { Schema } from "effect"
import { Identifier } from "./Identifier.ts"

/** A tenant of a platform, by the short name its operator chose: lower-case letters, digits and dashes. */
export const WorkspaceId = Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9-]{0,62}$/u)).pipe(
  Schema.brand("WorkspaceId")
)
export type WorkspaceId = typeof WorkspaceId.Type

/** A scoped target of ingest inside a workspace: one for each environment, or for each surface of an agent (PLT-02). */
export const WorkflowId = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{1,64}$/u)).pipe(
  Schema.brand("WorkflowId")
)
export type WorkflowId = typeof WorkflowId.Type

/** The public name of a `wf_` token, good for revoking it and for nothing else. */
export const TokenId = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{1,64}$/u)).pipe(Schema.brand("TokenId"))
export type TokenId = typeof TokenId.Type

/** What people call a workspace or a workflow. */
export const DisplayName = Identifier(128)

/** An address in lower case: one person is one member. Not every address that a mail server would take is one. */
export const Email = Schema.String.check(
  Schema.isPattern(/^[a-z0-9][a-z0-9._%+'-]{0,63}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9-]{1,63}){0,4}$/u),
  Schema.isMaxLength(254)
).pipe(Schema.brand("Email"))
export type Email = typeof Email.Type

/** `viewer` reads, `approver` decides too, `admin` manages workflows, tokens and members as well. */
export const MemberRole = Schema.Literals(["viewer", "approver", "admin"])
export type MemberRole = typeof MemberRole.Type

const ranks: Record<MemberRole, number> = { viewer: 0, approver: 1, admin: 2 }

/** Whether somebody with this role may do what needs that one. */
export const mayAct = (role: MemberRole, needed: MemberRole): boolean => ranks[role] >= ranks[needed]

/** What a workspace is entitled to (OQ-29). */
export const Tier = Schema.Literals(["free", "team", "enterprise"])
export type Tier = typeof Tier.Type

/** What a route belongs to, as far as tiers are concerned. */
export type Feature = "ingest" | "timeline" | "approvals" | "witness"

const features: Record<Tier, ReadonlyArray<Feature>> = {
  free: ["ingest", "timeline"],
  team: ["ingest", "timeline", "approvals"],
  enterprise: ["ingest", "timeline", "approvals", "witness"]
}

/** Whether a tier includes a feature; where it does not, the route answers 402 (PLT-08). */
export const isEntitled = (tier: Tier, feature: Feature): boolean => features[tier].includes(feature)

export interface Workspace {
  readonly id: WorkspaceId
  readonly name: string
  readonly tier: Tier
}

/** Where a workflow's data lie: no statement names one without the other (P-09). */
export interface WorkflowPlace {
  readonly workspace: WorkspaceId
  readonly workflow: WorkflowId
}
