import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { apiPath } from "../BridgeWire.ts"
import { DisplayName, Email, MemberRole, Tier, TokenId, WorkflowId, WorkspaceId } from "../Workspace.ts"
import { Forbidden, NameTaken, NotFound, Unavailable } from "./Refusals.ts"
import { SessionAccess } from "./SessionAccess.ts"

const Millis = Schema.Int
export const WorkflowView = Schema.Struct({ workflow: WorkflowId, name: Schema.String, created_ms: Millis })
const TokenView = Schema.Struct({
  token_id: TokenId,
  hint: Schema.String,
  created_ms: Millis,
  revoked_ms: Schema.NullOr(Millis)
})
/** The only answer in which a token stands. */
const NewToken = Schema.Struct({ token_id: TokenId, token: Schema.String })
const MemberView = Schema.Struct({ email: Email, role: MemberRole })

const inWorkspace = { workspace: WorkspaceId }
const inWorkflow = { workspace: WorkspaceId, workflow: WorkflowId }
const error = [Forbidden, NotFound, Unavailable] as const

/** What people manage: workflows, tokens, members. Reading needs a viewer, changing an admin (PLT-02). */
export const WorkspaceApi = HttpApiGroup.make("workspaces")
  .add(
    HttpApiEndpoint.get("me", "/me", {
      success: Schema.Struct({
        email: Email,
        workspaces: Schema.Array(
          Schema.Struct({ workspace: WorkspaceId, name: Schema.String, tier: Tier, role: MemberRole })
        )
      }),
      error: Unavailable
    })
  )
  .add(HttpApiEndpoint.delete("signOut", "/session", { success: HttpApiSchema.NoContent, error: Unavailable }))
  .add(
    HttpApiEndpoint.get("workflows", "/workspaces/:workspace/workflows", {
      params: inWorkspace,
      success: Schema.Array(WorkflowView),
      error
    })
  )
  .add(
    HttpApiEndpoint.post("createWorkflow", "/workspaces/:workspace/workflows", {
      params: inWorkspace,
      payload: Schema.Struct({ name: DisplayName }),
      success: Schema.Struct({ ...WorkflowView.fields, ...NewToken.fields }).pipe(HttpApiSchema.status(201)),
      error: [...error, NameTaken]
    })
  )
  .add(
    HttpApiEndpoint.get("workflow", "/workspaces/:workspace/workflows/:workflow", {
      params: inWorkflow,
      success: Schema.Struct({ ...WorkflowView.fields, tokens: Schema.Array(TokenView) }),
      error
    })
  )
  .add(
    HttpApiEndpoint.post("createToken", "/workspaces/:workspace/workflows/:workflow/tokens", {
      params: inWorkflow,
      success: NewToken.pipe(HttpApiSchema.status(201)),
      error
    })
  )
  .add(
    HttpApiEndpoint.delete("revokeToken", "/workspaces/:workspace/workflows/:workflow/tokens/:token", {
      params: { ...inWorkflow, token: TokenId },
      success: HttpApiSchema.NoContent,
      error
    })
  )
  .add(
    HttpApiEndpoint.get("members", "/workspaces/:workspace/members", {
      params: inWorkspace,
      success: Schema.Array(MemberView),
      error
    })
  )
  .add(
    HttpApiEndpoint.put("putMember", "/workspaces/:workspace/members/:email", {
      params: { ...inWorkspace, email: Email },
      payload: Schema.Struct({ role: MemberRole }),
      success: MemberView,
      error
    })
  )
  .add(
    HttpApiEndpoint.delete("removeMember", "/workspaces/:workspace/members/:email", {
      params: { ...inWorkspace, email: Email },
      success: HttpApiSchema.NoContent,
      error
    })
  )
  .middleware(SessionAccess)
  .prefix(apiPath)
