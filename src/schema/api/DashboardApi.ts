import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { apiPath, ResolutionStatus } from "../BridgeWire.ts"
import { ActionHash, GateRequestId } from "../GateRequest.ts"
import { Identifier } from "../Identifier.ts"
import { WorkflowId, WorkspaceId } from "../Workspace.ts"
import { Forbidden, Invalid, NotEntitled, NotFound, Unavailable } from "./Refusals.ts"
import { SessionAccess } from "./SessionAccess.ts"

const Limit = Schema.FiniteFromString.check(
  Schema.isInt(),
  Schema.isGreaterThanOrEqualTo(1),
  Schema.isLessThanOrEqualTo(200)
)
/** As a row of an earlier answer carries it; one that was changed, or is another workflow's, is 400 (P-10). */
const Cursor = Schema.String.check(Schema.isPattern(/^(?:start|\d{1,15}\.[A-Za-z0-9_-]{22})$/u))
const Filter = Identifier(256)

/** A copy of an event as it was kept. `metadata` is JSON text: what it says was written by an agent, so it is shown as text. */
const EventView = Schema.Struct({
  position: Schema.Int,
  cursor: Schema.String,
  event_id: Schema.String,
  event_type: Schema.String,
  agent_id: Schema.String,
  session_id: Schema.NullOr(Schema.String),
  created_at: Schema.String,
  received_ms: Schema.Int,
  instance: Schema.String,
  seq: Schema.Int,
  sdk_version: Schema.String,
  metadata: Schema.String
})

/** `resolved_in` says who decided: `sdk` is the customer's own database, whose word wins (PLT-06). */
export const GateCard = Schema.Struct({
  workflow: WorkflowId,
  request_id: Schema.String,
  agent_id: Schema.String,
  kind: Schema.String,
  action_hash: Schema.String,
  expires_ms: Schema.Int,
  received_ms: Schema.Int,
  status: ResolutionStatus,
  resolved_ms: Schema.NullOr(Schema.Int),
  resolved_in: Schema.NullOr(Schema.Literals(["sdk", "inbox"])),
  decided_by: Schema.NullOr(Schema.String)
})

/** Somebody was faster, the request has ended, or its action is not the one that was shown: look again. */
const NotOpen = Schema.Struct({ error: Schema.Literal("not_open"), gate: GateCard }).pipe(HttpApiSchema.status(409))

const error = [Forbidden, NotEntitled, NotFound, Unavailable] as const

/** What people look at and decide: the timeline of a workflow, the inbox of a workspace (PLT-05, PLT-06). */
export const DashboardApi = HttpApiGroup.make("dashboard")
  .add(
    HttpApiEndpoint.get("timeline", "/workspaces/:workspace/workflows/:workflow/timeline", {
      params: { workspace: WorkspaceId, workflow: WorkflowId },
      query: Schema.Struct({
        before: Schema.optionalKey(Cursor),
        /** `start` is before the first event. */
        after: Schema.optionalKey(Cursor),
        agent: Schema.optionalKey(Filter),
        session: Schema.optionalKey(Filter),
        type: Schema.optionalKey(Filter),
        limit: Schema.optionalKey(Limit)
      }),
      success: Schema.Array(EventView),
      error: [...error, Invalid]
    })
  )
  .add(
    HttpApiEndpoint.get("conflicts", "/workspaces/:workspace/workflows/:workflow/conflicts", {
      params: { workspace: WorkspaceId, workflow: WorkflowId },
      success: Schema.Array(
        Schema.Struct({
          event_id: Schema.String,
          kept_digest: Schema.String,
          other_digest: Schema.String,
          seen_ms: Schema.Int
        })
      ),
      error
    })
  )
  .add(
    HttpApiEndpoint.get("approvals", "/workspaces/:workspace/approvals", {
      params: { workspace: WorkspaceId },
      query: Schema.Struct({
        state: Schema.optionalKey(Schema.Literals(["open", "all"])),
        limit: Schema.optionalKey(Limit)
      }),
      success: Schema.Array(GateCard),
      error
    })
  )
  .add(
    HttpApiEndpoint.post("decide", "/workspaces/:workspace/workflows/:workflow/approvals/:request/decision", {
      params: { workspace: WorkspaceId, workflow: WorkflowId, request: GateRequestId },
      payload: Schema.Struct({ decision: Schema.Literals(["granted", "denied"]), action_hash: ActionHash }),
      success: GateCard,
      error: [...error, NotOpen]
    })
  )
  .middleware(SessionAccess)
  .prefix(apiPath)
