import { Effect, Layer } from "effect"
import type { MemberRole, TokenId, WorkflowPlace, Workspace } from "../../schema/Workspace.ts"
import { type ListedToken, type MemberRow, type WorkflowRow, WorkspaceStore } from "../../services/WorkspaceStore.ts"

interface Token extends ListedToken {
  readonly digest: string
  readonly place: WorkflowPlace
}

/** Tenants that are gone with the process. */
export const make = Effect.sync(() => {
  const workspaces = new Map<string, Workspace>()
  const members = new Map<string, MemberRow>()
  const workflows = new Map<string, WorkflowRow>()
  const tokens = new Map<string, Token>()
  const digests = new Map<TokenId, string>()
  const memberKey = (workspace: string, email: string) => `${workspace} ${email}`
  const workflowKey = ({ workflow, workspace }: WorkflowPlace) => `${workspace} ${workflow}`
  const byId = (id: TokenId) => tokens.get(digests.get(id) ?? "")
  const isOf = (token: Token, place: WorkflowPlace) => workflowKey(token.place) === workflowKey(place)

  return WorkspaceStore.of({
    create: (workspace) =>
      Effect.sync(() => {
        if (workspaces.has(workspace.id)) return false
        workspaces.set(workspace.id, workspace)
        return true
      }),
    find: (workspace) => Effect.sync(() => workspaces.get(workspace) ?? null),
    setTier: (workspace, tier) =>
      Effect.sync(() => {
        const known = workspaces.get(workspace)
        if (known !== undefined) workspaces.set(workspace, { ...known, tier })
        return known !== undefined
      }),

    putMember: (member) =>
      Effect.sync(() => {
        if (!workspaces.has(member.workspace)) return false
        members.set(memberKey(member.workspace, member.email), member)
        return true
      }),
    removeMember: (workspace, email) => Effect.sync(() => members.delete(memberKey(workspace, email))),
    members: (workspace) =>
      Effect.sync(() =>
        [...members.values()]
          .filter((member) => member.workspace === workspace)
          .sort((left, right) => (left.email < right.email ? -1 : 1))
      ),
    memberships: (email) =>
      Effect.sync(() =>
        [...members.values()]
          .filter((member) => member.email === email)
          .flatMap((member): ReadonlyArray<Workspace & { readonly role: MemberRole }> => {
            const workspace = workspaces.get(member.workspace)
            return workspace === undefined ? [] : [{ ...workspace, role: member.role }]
          })
          .sort((left, right) => (left.id < right.id ? -1 : 1))
      ),

    createWorkflow: (workflow, { digest, ...token }) =>
      Effect.sync(() => {
        if (!workspaces.has(workflow.workspace)) return "NoWorkspace"
        const taken = [...workflows.values()].some(
          (other) => other.workspace === workflow.workspace && other.name === workflow.name
        )
        if (taken) return "NameTaken"
        workflows.set(workflowKey(workflow), workflow)
        digests.set(token.token, digest)
        tokens.set(digest, { ...token, digest, place: workflow, revokedMs: null })
        return "Created"
      }),
    workflows: (workspace) =>
      Effect.sync(() =>
        [...workflows.values()]
          .filter((workflow) => workflow.workspace === workspace)
          .sort((left, right) => (left.name < right.name ? -1 : 1))
      ),
    workflow: (place) => Effect.sync(() => workflows.get(workflowKey(place)) ?? null),

    addToken: (place, { digest, ...token }) =>
      Effect.sync(() => {
        if (!workflows.has(workflowKey(place))) return false
        digests.set(token.token, digest)
        tokens.set(digest, { ...token, digest, place, revokedMs: null })
        return true
      }),
    tokens: (place) =>
      Effect.sync(() =>
        [...tokens.values()]
          .filter((token) => isOf(token, place))
          .map(({ createdMs, hint, revokedMs, token }) => ({ token, hint, createdMs, revokedMs }))
          .sort((left, right) => left.createdMs - right.createdMs || (left.token < right.token ? -1 : 1))
      ),
    revokeToken: (place, id, nowMs) =>
      Effect.sync(() => {
        const found = byId(id)
        if (found === undefined || !isOf(found, place) || found.revokedMs !== null) return false
        tokens.set(found.digest, { ...found, revokedMs: nowMs })
        return true
      }),
    placeOfToken: (id) =>
      Effect.sync(() => {
        const found = byId(id)
        return found === undefined ? null : (workflows.get(workflowKey(found.place)) ?? null)
      }),
    owner: (digest) =>
      Effect.sync(() => {
        const found = tokens.get(digest)
        const workspace = found === undefined ? undefined : workspaces.get(found.place.workspace)
        if (found === undefined || workspace === undefined || found.revokedMs !== null) return null
        const { workflow } = found.place
        return { workspace: workspace.id, workflow, token: found.token, tier: workspace.tier }
      })
  })
})

export const layer = Layer.effect(WorkspaceStore, make)
