import { Clock, Effect, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { PlatformApi } from "../schema/api/PlatformApi.ts"
import { CurrentPerson, sessionCookie } from "../schema/api/SessionAccess.ts"
import { type WorkflowRow, WorkspaceStore } from "../services/WorkspaceStore.ts"
import { makeDoor } from "./Membership.ts"
import { SignIn } from "./SignIn.ts"
import { logged } from "./Unavailable.ts"
import { Workflows } from "./Workflows.ts"

/** Workflows, tokens and members, for the people of their workspace. */
export const layer = HttpApiBuilder.group(
  PlatformApi,
  "workspaces",
  Effect.fnUntraced(function* (handlers) {
    const store = yield* WorkspaceStore
    const workflows = yield* Workflows
    const signIn = yield* SignIn
    const { member } = yield* makeDoor

    return handlers
      .handle(
        "me",
        Effect.fnUntraced(function* () {
          const { email } = yield* CurrentPerson
          const found = yield* logged(store.memberships(email))
          return { email, workspaces: found.map(({ id, ...rest }) => ({ workspace: id, ...rest })) }
        })
      )
      .handle(
        "signOut",
        Effect.fnUntraced(function* () {
          const { cookies } = yield* HttpServerRequest.HttpServerRequest
          yield* logged(signIn.end(Redacted.make(cookies[sessionCookie.key] ?? "")))
        })
      )
      .handle(
        "workflows",
        Effect.fnUntraced(function* ({ params }) {
          yield* member(params.workspace, "viewer")
          return (yield* logged(store.workflows(params.workspace))).map(viewOf)
        })
      )
      .handle(
        "createWorkflow",
        Effect.fnUntraced(function* ({ params, payload }) {
          yield* member(params.workspace, "admin")
          const made = yield* logged(workflows.create(params.workspace, payload.name))
          if (made === null) return yield* Effect.fail({ error: "name_taken" } as const)
          return { ...viewOf(made.workflow), token_id: made.token, token: Redacted.value(made.secret) }
        })
      )
      .handle(
        "workflow",
        Effect.fnUntraced(function* ({ params }) {
          yield* member(params.workspace, "viewer")
          const found = yield* logged(store.workflow(params))
          if (found === null) return yield* Effect.fail(notFound)
          const tokens = (yield* logged(store.tokens(params))).map(({ createdMs, hint, revokedMs, token }) => ({
            token_id: token,
            hint,
            created_ms: createdMs,
            revoked_ms: revokedMs
          }))
          return { ...viewOf(found), tokens }
        })
      )
      .handle(
        "createToken",
        Effect.fnUntraced(function* ({ params }) {
          yield* member(params.workspace, "admin")
          const made = yield* logged(workflows.addToken(params))
          return made === null
            ? yield* Effect.fail(notFound)
            : { token_id: made.token, token: Redacted.value(made.secret) }
        })
      )
      .handle(
        "revokeToken",
        Effect.fnUntraced(function* ({ params }) {
          yield* member(params.workspace, "admin")
          if (!(yield* logged(workflows.revoke(params, params.token)))) return yield* Effect.fail(notFound)
        })
      )
      .handle(
        "members",
        Effect.fnUntraced(function* ({ params }) {
          yield* member(params.workspace, "viewer")
          return (yield* logged(store.members(params.workspace))).map(({ email, role }) => ({ email, role }))
        })
      )
      .handle(
        "putMember",
        Effect.fnUntraced(function* ({ params: { email, workspace }, payload: { role } }) {
          const own = yield* member(workspace, "admin")
          // Nobody can lock a workspace up by taking the last admin's rights away: it is always another one who does it.
          if (own.email === email) return yield* Effect.fail({ error: "forbidden" } as const)
          yield* logged(store.putMember({ workspace, email, role }, yield* Clock.currentTimeMillis))
          return { email, role }
        })
      )
      .handle(
        "removeMember",
        Effect.fnUntraced(function* ({ params: { email, workspace } }) {
          const own = yield* member(workspace, "admin")
          if (own.email === email) return yield* Effect.fail({ error: "forbidden" } as const)
          if (!(yield* logged(store.removeMember(workspace, email)))) return yield* Effect.fail(notFound)
          // Rights are read at each request; a session ends only with the last of them, which is nobody's to take alone (P-09).
          if ((yield* logged(store.memberships(email))).length === 0) yield* logged(signIn.endAll(email))
        })
      )
  })
)

const notFound = { error: "not_found" } as const

const viewOf = ({ createdMs, name, workflow }: WorkflowRow) => ({ workflow, name, created_ms: createdMs })
