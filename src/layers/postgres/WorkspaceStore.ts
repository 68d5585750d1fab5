import { Effect, Layer, Schema } from "effect"
import { Email, MemberRole, Tier, TokenId, WorkflowId, WorkspaceId } from "../../schema/Workspace.ts"
import { WorkspaceStore } from "../../services/WorkspaceStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import * as TenantAsk from "./TenantAsk.ts"

/** Tenants in tables of the platform's own schema. Each act is one statement. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const within = yield* TenantAsk.make("WorkspaceStore")
  // What is asked before a workspace is known goes through functions that answer nothing else.
  const ask = yield* Ask.make("WorkspaceStore")
  const changed = (...asked: Parameters<TenantAsk.TenantAsk>) => Effect.map(within(...asked), (rows) => rows.length > 0)

  return WorkspaceStore.of({
    create: ({ id, name, tier }, nowMs) =>
      changed(
        "create",
        `INSERT INTO ${prefix}governance_workspaces (workspace, name, tier, created_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING RETURNING 1`,
        [id, name, tier, BigInt(nowMs)]
      ),
    find: (workspace) =>
      Effect.map(
        within("find", `SELECT workspace, name, tier FROM ${prefix}governance_workspaces WHERE workspace = $1`, [
          workspace
        ]),
        ([row]) => (row === undefined ? null : workspaceOf(row))
      ),
    setTier: (workspace, tier) =>
      changed("setTier", `UPDATE ${prefix}governance_workspaces SET tier = $2 WHERE workspace = $1 RETURNING 1`, [
        workspace,
        tier
      ]),

    putMember: ({ email, role, workspace }, nowMs) =>
      changed(
        "putMember",
        `INSERT INTO ${prefix}governance_members (workspace, email, role, invited_ms)
         SELECT w.workspace, $2, $3, $4::bigint FROM ${prefix}governance_workspaces w WHERE w.workspace = $1
         ON CONFLICT (workspace, email) DO UPDATE SET role = EXCLUDED.role RETURNING 1`,
        [workspace, email, role, BigInt(nowMs)]
      ),
    removeMember: (workspace, email) =>
      changed(
        "removeMember",
        `DELETE FROM ${prefix}governance_members WHERE workspace = $1 AND email = $2 RETURNING 1`,
        [workspace, email]
      ),
    members: (workspace) =>
      Effect.map(
        within("members", `SELECT email, role FROM ${prefix}governance_members WHERE workspace = $1 ORDER BY email`, [
          workspace
        ]),
        (rows) => rows.map(([email, role]) => ({ workspace, email: Email.make(String(email)), role: roleOf(role) }))
      ),
    memberships: (email) =>
      Effect.map(
        ask(
          "memberships",
          `SELECT r_workspace, r_name, r_tier, r_role FROM ${prefix}governance_memberships($1) ORDER BY r_workspace COLLATE "C"`,
          [email]
        ),
        (rows) => rows.map((row) => ({ ...workspaceOf(row), role: roleOf(row[3]) }))
      ),

    createWorkflow: ({ createdMs, name, workflow, workspace }, token) =>
      Effect.map(
        within(
          "createWorkflow",
          `WITH made AS (
             INSERT INTO ${prefix}governance_workflows (workspace, workflow, name, created_ms)
             SELECT w.workspace, $2, $3, $4::bigint FROM ${prefix}governance_workspaces w WHERE w.workspace = $1
             ON CONFLICT DO NOTHING RETURNING workspace, workflow),
           first AS (
             INSERT INTO ${prefix}governance_tokens (workspace, workflow, token, digest, hint, created_ms)
             SELECT m.workspace, m.workflow, $5, $6, $7, $8::bigint FROM made m RETURNING 1)
           SELECT (SELECT count(*) FROM first) > 0,
                  EXISTS (SELECT 1 FROM ${prefix}governance_workspaces w WHERE w.workspace = $1)`,
          [workspace, workflow, name, BigInt(createdMs), token.token, token.digest, token.hint, BigInt(token.createdMs)]
        ),
        ([row]) => (row?.[0] === true ? "Created" : row?.[1] === true ? "NameTaken" : "NoWorkspace")
      ),
    workflows: (workspace) =>
      Effect.map(
        within(
          "workflows",
          `SELECT workflow, name, created_ms FROM ${prefix}governance_workflows WHERE workspace = $1 ORDER BY name`,
          [workspace]
        ),
        (rows) => rows.map((row) => workflowOf(workspace, row))
      ),
    workflow: ({ workflow, workspace }) =>
      Effect.map(
        within(
          "workflow",
          `SELECT workflow, name, created_ms FROM ${prefix}governance_workflows WHERE workspace = $1 AND workflow = $2`,
          [workspace, workflow]
        ),
        ([row]) => (row === undefined ? null : workflowOf(workspace, row))
      ),

    addToken: ({ workflow, workspace }, token) =>
      changed(
        "addToken",
        `INSERT INTO ${prefix}governance_tokens (workspace, workflow, token, digest, hint, created_ms)
         SELECT w.workspace, w.workflow, $3, $4, $5, $6::bigint FROM ${prefix}governance_workflows w
          WHERE w.workspace = $1 AND w.workflow = $2 RETURNING 1`,
        [workspace, workflow, token.token, token.digest, token.hint, BigInt(token.createdMs)]
      ),
    tokens: ({ workflow, workspace }) =>
      Effect.map(
        within(
          "tokens",
          `SELECT token, hint, created_ms, revoked_ms FROM ${prefix}governance_tokens
            WHERE workspace = $1 AND workflow = $2 ORDER BY created_ms, token`,
          [workspace, workflow]
        ),
        (rows) =>
          rows.map(([token, hint, createdMs, revokedMs]) => ({
            token: TokenId.make(String(token)),
            hint: String(hint),
            createdMs: Number(createdMs),
            revokedMs: revokedMs === null ? null : Number(revokedMs)
          }))
      ),
    revokeToken: ({ workflow, workspace }, token, nowMs) =>
      changed(
        "revokeToken",
        `UPDATE ${prefix}governance_tokens SET revoked_ms = $4::bigint
          WHERE workspace = $1 AND workflow = $2 AND token = $3 AND revoked_ms IS NULL RETURNING 1`,
        [workspace, workflow, token, BigInt(nowMs)]
      ),
    placeOfToken: (token) =>
      Effect.map(
        ask(
          "placeOfToken",
          `SELECT r_workflow, r_name, r_created_ms, r_workspace FROM ${prefix}governance_token_place($1)`,
          [token]
        ),
        ([row]) => (row === undefined ? null : workflowOf(WorkspaceId.make(String(row[3])), row))
      ),
    owner: (digest) =>
      Effect.map(
        ask("owner", `SELECT r_workspace, r_workflow, r_token, r_tier FROM ${prefix}governance_token_owner($1)`, [
          digest
        ]),
        ([row]) =>
          row === undefined
            ? null
            : {
                workspace: WorkspaceId.make(String(row[0])),
                workflow: WorkflowId.make(String(row[1])),
                token: TokenId.make(String(row[2])),
                tier: tierOf(row[3])
              }
      )
  })
})

export const layer = Layer.effect(WorkspaceStore, make)

const tierOf = Schema.decodeUnknownSync(Tier)
const roleOf = Schema.decodeUnknownSync(MemberRole)

const workspaceOf = ([id, name, tier]: ReadonlyArray<unknown>) => ({
  id: WorkspaceId.make(String(id)),
  name: String(name),
  tier: tierOf(tier)
})

const workflowOf = (workspace: WorkspaceId, [workflow, name, createdMs]: ReadonlyArray<unknown>) => ({
  workspace,
  workflow: WorkflowId.make(String(workflow)),
  name: String(name),
  createdMs: Number(createdMs)
})
