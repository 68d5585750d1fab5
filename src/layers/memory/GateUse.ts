/** How admission uses a grant up, in the same synchronous step that writes its ticket, and what is told of it later. */
import type { UsedApproval, Verdict } from "../../schema/Call.ts"
import type { EarlierOutcome, Gate } from "../../schema/GateRequest.ts"
import type { AgentId, TicketId } from "../../schema/Ids.ts"
import type { GateRow, MemoryStateData, Ticket } from "./MemoryState.ts"

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

/** What is told of the call that used a grant. */
export const outcomeOf = ({ state }: Pick<Ticket, "state">): EarlierOutcome =>
  state === "open" ? "running" : state === "orphaned" ? "unknown" : state === "settled" ? "completed" : "not_run"

export const unapproved: Verdict = { _tag: "Unapproved" }

/** Whether the call that used the grant may still be running, or nobody knows how it ended. */
export const isUndecided = (state: MemoryStateData, { ticket }: Gate): boolean =>
  ticket !== null && (state.open.has(ticket) || state.closed.get(ticket)?.state === "orphaned")

/** What became of the call that used the grant before this one; null where there was none. */
export const earlierOf = (state: MemoryStateData, { gate }: GateRow): EarlierOutcome | null => {
  if (gate.earlier === null) return null
  const row = state.gates.get(gate.earlier)
  const ticket = row?.gate.ticket ?? null
  const found = ticket === null ? undefined : (state.open.get(ticket) ?? state.closed.get(ticket))
  return found === undefined ? (row?.outcome ?? "unknown") : outcomeOf(found)
}
