import { Context, type Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import type { Email, MemberRole, Tier, TokenId, WorkflowPlace, Workspace, WorkspaceId } from "../schema/Workspace.ts"

/** A workflow as it is listed. */
export interface WorkflowRow extends WorkflowPlace {
  readonly name: string
  readonly createdMs: number
}

/** What is kept of a `wf_` token: never the token. */
export interface TokenRow {
  readonly token: TokenId
  /** SHA-256 of the whole token, hex. */
  readonly digest: string
  /** Its last four characters. */
  readonly hint: string
  readonly createdMs: number
}

export interface ListedToken extends Omit<TokenRow, "digest"> {
  readonly revokedMs: number | null
}

export interface MemberRow {
  readonly workspace: WorkspaceId
  readonly email: Email
  readonly role: MemberRole
}

/** Whose request it is that carries a token. */
export interface TokenOwner extends WorkflowPlace {
  readonly token: TokenId
  readonly tier: Tier
}

/** Tenants of a platform, their people, their workflows and what those sign in with. Every act names its workspace (P-09). */
export class WorkspaceStore extends Context.Service<
  WorkspaceStore,
  {
    /** False when there is one of that id; then it stays as it is. */
    readonly create: (workspace: Workspace, nowMs: number) => Effect.Effect<boolean, StoreError>
    readonly find: (workspace: WorkspaceId) => Effect.Effect<Workspace | null, StoreError>
    /** False when there is no such workspace. */
    readonly setTier: (workspace: WorkspaceId, tier: Tier) => Effect.Effect<boolean, StoreError>

    /** Adds somebody, or gives them another role. False when there is no such workspace. */
    readonly putMember: (member: MemberRow, nowMs: number) => Effect.Effect<boolean, StoreError>
    readonly removeMember: (workspace: WorkspaceId, email: Email) => Effect.Effect<boolean, StoreError>
    readonly members: (workspace: WorkspaceId) => Effect.Effect<ReadonlyArray<MemberRow>, StoreError>
    readonly memberships: (
      email: Email
    ) => Effect.Effect<ReadonlyArray<Workspace & { readonly role: MemberRole }>, StoreError>

    /** The workflow and its first token, or neither. */
    readonly createWorkflow: (
      workflow: WorkflowRow,
      token: TokenRow
    ) => Effect.Effect<"Created" | "NameTaken" | "NoWorkspace", StoreError>
    readonly workflows: (workspace: WorkspaceId) => Effect.Effect<ReadonlyArray<WorkflowRow>, StoreError>
    readonly workflow: (place: WorkflowPlace) => Effect.Effect<WorkflowRow | null, StoreError>

    /** False when there is no such workflow in that workspace. */
    readonly addToken: (place: WorkflowPlace, token: TokenRow) => Effect.Effect<boolean, StoreError>
    readonly tokens: (place: WorkflowPlace) => Effect.Effect<ReadonlyArray<ListedToken>, StoreError>
    /** False when there is no such token there that is still good. */
    readonly revokeToken: (place: WorkflowPlace, token: TokenId, nowMs: number) => Effect.Effect<boolean, StoreError>
    /** Where a token belongs, for the operator of the platform alone: it looks in all workspaces. */
    readonly placeOfToken: (token: TokenId) => Effect.Effect<(WorkflowPlace & { name: string }) | null, StoreError>
    /** Whose token has this digest; null for a revoked one as for one that never was (P-03). */
    readonly owner: (digest: string) => Effect.Effect<TokenOwner | null, StoreError>
  }
>()("effect-governance/services/WorkspaceStore") {}
