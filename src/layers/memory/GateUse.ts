/** How admission uses a grant up, in the same synchronous step that writes its ticket. */
import type { UsedApproval, Verdict } from "../../schema/Call.ts"
import type { AgentId, TicketId } from "../../schema/Ids.ts"
import type { GateRow, MemoryStateData } from "./MemoryState.ts"

/** The grant as it was said to be, still unused; undefined when it is not. */
export const usable = (
  state: MemoryStateData,
  approval: UsedApproval,
  agentId: AgentId,
  nowMs: number
): GateRow | undefined => {
  const row = state.gates.get(approval.requestId)
  if (row === undefined) return undefined
  const { gate } = row
  const good =
    gate.state === "granted" &&
    gate.agentId === agentId &&
    gate.decisionMac === approval.mac &&
    gate.approvedHash === approval.actionHash &&
    gate.expiresAtMs > nowMs
  return good ? row : undefined
}

export const useUp = (row: GateRow | undefined, ticket: TicketId, verdict: Verdict) => {
  if (row !== undefined && verdict._tag === "Admitted") row.gate = { ...row.gate, state: "consumed", ticket }
}

export const unapproved: Verdict = { _tag: "Unapproved" }
