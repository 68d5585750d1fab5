import { Effect } from "effect"
import { payloadOf } from "../schema/ActionHash.ts"
import type { ApprovalOptions } from "../schema/CallPlan.ts"
import type { GateRequestId, GateState } from "../schema/GateRequest.ts"
import { Identifier } from "../schema/Identifier.ts"
import { AgentId, SessionId } from "../schema/Ids.ts"
import { decodeArgument } from "./Arguments.ts"
import type { GateRequests } from "./GateRequests.ts"
import type { GateStore } from "./GateStore.ts"
import type { Lineages } from "./Lineages.ts"
import { needsPerson } from "./NeedsPerson.ts"
import type { Policies } from "./Policies.ts"
import type { Standing } from "./Standing.ts"

/** The call of a tool, as far as a person has to do with it. */
export interface ToolWish {
  readonly agentId: string
  readonly sessionId?: string | undefined
  readonly tool: string
  readonly input?: unknown
  readonly callKey?: string | undefined
  readonly approval?: ApprovalOptions | undefined
}

/** Where a tool's call stands before it is made. */
export interface ToolStanding {
  /** True where a person has to approve it, by the policies of the agent and those above it, or because the program says so. */
  readonly isNeeded: boolean
  /** The newest request that exactly this call has led to, whatever became of it; null where there is none. */
  readonly request: { readonly requestId: GateRequestId; readonly state: GateState } | null
}

interface Parts<E> {
  readonly requests: GateRequests["Service"]
  readonly policies: Policies["Service"]
  readonly lineages: Lineages["Service"]
  readonly stand: (agentId: AgentId, where: string) => Effect.Effect<Standing, E>
  readonly stateOf: GateStore["Service"]["stateOf"]
  readonly list: (query: Parameters<GateStore["Service"]["list"]>[0]) => ReturnType<GateStore["Service"]["list"]>
}

/** Looks, asks nobody and uses nothing up: for frameworks that stop a run for an approval and go on in another process (BEY-02). */
export const toolStanding = <E>({ lineages, list, policies, requests, stand, stateOf }: Parts<E>) =>
  Effect.fn("Gates.standing")(function* (wish: ToolWish) {
    const agentId = yield* decodeArgument(AgentId, "agentId", wish.agentId)
    const kind = yield* decodeArgument(Identifier(512), "tool", wish.tool)
    const sessionId =
      wish.sessionId === undefined ? null : yield* decodeArgument(SessionId, "sessionId", wish.sessionId)
    const { path } = yield* stand(agentId, "gates.standing")
    const isNeeded = needsPerson(policies, path, { kind: "tool", name: kind }, wish.approval)
    if (!isNeeded) return { isNeeded, request: null } satisfies ToolStanding
    const payload = yield* Effect.fromResult(payloadOf(wish.input, requests.keys.binding()))
    const lineage = lineages.known(agentId)
    const key = requests.matchKeyOf({ agentId, sessionId, lineage, kind, payload, callKey: wish.callKey })
    const found = (yield* list({ agentId, which: "all", limit: 1000 })).find(({ gate }) => gate.matchKey === key)
    if (found === undefined) return { isNeeded, request: null } satisfies ToolStanding
    // A row says `pending` until somebody ends it, also when its time is over.
    const { requestId } = found.gate
    const state = (yield* stateOf(requestId)) ?? "expired"
    return { isNeeded, request: { requestId, state } } satisfies ToolStanding
  })
