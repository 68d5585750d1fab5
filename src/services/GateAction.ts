import { Result } from "effect"
import { type ActionPayload, hasMarks } from "../schema/ActionHash.ts"
import { ApprovalTokenError } from "../schema/Gate.ts"
import { eligible, type GateDemand, isReviewer } from "../schema/GateDemand.ts"
import type { GateState } from "../schema/GateRequest.ts"
import type { OperatorId } from "../schema/Ids.ts"
import { personOf } from "../schema/RemotePerson.ts"
import { isSamePerson } from "../schema/SamePerson.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { GateKeys } from "./GateKeys.ts"
import type { GateDecision, GateView } from "./GateStore.ts"
import { demandNow, operatorsOf } from "./GateVerdict.ts"

/** One person's act on a request as it was read. */
export interface GateAction {
  readonly found: GateView
  readonly deployment: string
  readonly by: OperatorId
  readonly decision: "granted" | "denied"
  /** The arguments that the reviewer puts in place of the agent's. */
  readonly edited: ActionPayload | null
  readonly reviewer: OperatorId | null | undefined
}

export const refusal = (problem: ApprovalTokenError["problem"], state: GateState | null = null) =>
  new ApprovalTokenError({ problem, state })

/** What the act makes of the request: the decision, one vote of several, or an objection. Decides; writes nothing. */
export const decisionOf = (
  keys: GateKeys,
  action: GateAction
): Result.Result<{ readonly made: GateDecision; readonly missing: number }, ApprovalTokenError | StoreError> => {
  const demand = demandNow(action.found)
  if (Result.isFailure(demand)) return Result.fail(demand.failure)
  const { by, decision, deployment, edited, found, reviewer } = action
  const { gate, votes } = found
  const problem = objection(action, demand.success)
  if (problem !== undefined) return Result.fail(refusal(problem, problem === "resolved" ? gate.state : null))
  const changed = edited !== null && edited.stored !== gate.payload
  const actionHash = changed ? keys.actionHash(gate.kind, gate.agentId, edited.bound) : gate.actionHash
  const common = { deployment, requestId: gate.requestId, expiresAtMs: gate.expiresAtMs }
  // A vote that nobody with the key has written counts for nothing (T-18).
  const agreeing = votes
    .filter((vote) => vote.actionHash === actionHash)
    .filter(({ approver, mac }) =>
      keys.isRowGenuine(gate.keyId, { ...common, actionHash, decision: "vote", approvers: [approver] }, mac)
    )
    .map(({ approver }) => approver)
  if (decision === "granted" && agreeing.some((other) => isSamePerson(personOf(other), personOf(by))))
    return Result.fail(refusal("voted"))
  const people = decision === "denied" ? [by] : eligible(demand.success, [...agreeing, by])
  const missing = decision === "denied" ? 0 : Math.max(0, Math.max(gate.quorum, demand.success.quorum) - people.length)
  const kind = missing > 0 ? "vote" : decision
  const approvers = kind === "vote" ? [by] : [...people].sort()
  const mac = keys.rowMac(gate.keyId, { ...common, actionHash, decision: kind, approvers })
  if (mac === undefined) return Result.fail(refusal("not_accepted"))
  const { requestId, root } = gate
  const made = { requestId, root, decision: kind, approver: by, actionHash, mac, approvers, reviewer } as const
  const editedPayload = changed ? edited.stored : null
  return Result.succeed({ made: { ...made, editedPayload, votes: votes.length }, missing })
}

/** Everything that speaks against this person deciding this request now. */
const objection = (
  { by, decision, edited, found }: GateAction,
  demand: GateDemand
): ApprovalTokenError["problem"] | undefined => {
  const { gate } = found
  if (gate.state === "expired") return "expired"
  if (gate.state !== "pending") return "resolved"
  const operators = operatorsOf(found)
  const own = operators.some((operator) => isSamePerson(operator, personOf(by)))
  if (decision === "granted" && operators.length === 0) return "owner_unknown"
  if (decision === "granted" && own) return "own_agent"
  // Whoever operates an agent may always stop it.
  if (!isReviewer(demand, by) && !(decision === "denied" && own)) return "not_a_reviewer"
  if (edited !== null && (edited.marked !== null || hasMarks(gate.payload))) return "not_editable"
  return undefined
}
