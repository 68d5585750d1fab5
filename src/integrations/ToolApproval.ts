import { Effect } from "effect"
import { ApprovalDenied } from "../schema/Gate.ts"
import { AgentId } from "../schema/Ids.ts"
import { AgentScope } from "../services/AgentScope.ts"
import { Gates } from "../services/Gates.ts"
import { promise } from "./Host.ts"
import { type ToolFunction, type ToolOptions, useTool } from "./Tool.ts"

/** What a framework is to do about a person before it runs a tool. */
export type Approval =
  | { readonly _tag: "NotNeeded" }
  | { readonly _tag: "Granted" }
  | { readonly _tag: "Waiting"; readonly requestId: string | null }
  /** A person said no, the one approval was used, or the agent may not use the tool at all. */
  | { readonly _tag: "Refused"; readonly error: { readonly message: string } }

/** Whose tools a framework runs; without `approval.wait` a use that needs a person stops the run. */
export type ToolOwner = Pick<ToolOptions, "governance" | "agentId" | "sessionId" | "metadata" | "maxUsd" | "approval">

type Use = ToolOptions & { readonly callKey: string }

/** A use by the framework's own id, which means nothing in another conversation; `required` where the tool itself wants a person. */
export const useOf = (owner: ToolOwner, tool: string, callId: string, required: boolean): Use => {
  const { agentId, approval, governance, maxUsd, metadata, sessionId } = owner
  return {
    ...{ governance, agentId, sessionId, metadata, maxUsd, tool },
    callKey: sessionId === undefined ? callId : `${sessionId}\n${callId}`,
    approval: { wait: false, ...approval, ...(required ? { required } : {}) }
  }
}

/** Opens the request of a use that needs a person, once, and says what became of it. The framework's own word counts for nothing (BEY-03). */
export const approvalOf = (use: Use, input: unknown): Promise<Approval> =>
  promise(use.governance, asked(use, input), use.signal)

/** A tool whose use has the framework's own key: decided once, used once, however often a run is resumed (BEY-02). */
export const useApproved = async <A>(use: Use, input: unknown, run: ToolFunction<A>): Promise<A> => {
  const known = await promise(use.governance, standing(use, input), use.signal)
  const request = known === null || known.state === "expired" ? undefined : known.requestId
  return useTool(request === undefined ? use : { ...use, approval: { ...use.approval, request } }, input, run)
}

const asked = Effect.fnUntraced(function* (use: Use, input: unknown) {
  const gates = yield* Gates
  const { isNeeded, request } = yield* standingOf(use, input)
  if (!isNeeded) return { _tag: "NotNeeded" } satisfies Approval
  const outOfScope = yield* scopeOf(use)
  if (outOfScope !== undefined) return { _tag: "Refused", error: outOfScope } satisfies Approval
  switch (request?.state) {
    case "granted":
      return { _tag: "Granted" } satisfies Approval
    case "pending":
      return { _tag: "Waiting", requestId: request.requestId } satisfies Approval
    case "denied":
    case "consumed": {
      const problem = request.state === "denied" ? "denied" : "used"
      const facts = { agentId: AgentId.make(use.agentId), tool: use.tool, requestId: request.requestId }
      return { _tag: "Refused", error: new ApprovalDenied({ ...facts, problem }) } satisfies Approval
    }
    default: {
      const { callKey, sessionId } = use
      const opened = yield* gates.request(use.tool, use.agentId, input, { sessionId, callKey })
      return { _tag: "Waiting", requestId: opened.grantable ? opened.requestId : null } satisfies Approval
    }
  }
})

/** With the module off nobody can ask; then the use itself is refused where a policy wants a person. */
const standingOf = (use: Use, input: unknown) =>
  Gates.use((gates) => gates.standing({ ...use, input })).pipe(
    Effect.catchTag("ModuleDisabledError", () => Effect.succeed({ isNeeded: false, request: null }))
  )

const standing = (use: Use, input: unknown) => Effect.map(standingOf(use, input), ({ request }) => request)

/** A person is not asked for what the agent may not do anyway. */
const scopeOf = ({ agentId, sessionId, tool }: Use) =>
  AgentScope.use((scope) => scope.check(agentId, { tool, ...(sessionId === undefined ? {} : { sessionId }) })).pipe(
    Effect.as(undefined),
    Effect.catchTag(["ScopeViolation", "PolicyNotRegistered"], (error) => Effect.succeed(error)),
    Effect.catchTag("ModuleDisabledError", () => Effect.succeed(undefined))
  )
