/** How a ticket of the memory state ends, and what is done about those that do not. */
import type { ExpiredTicket, Settled, Settlement } from "../../schema/Call.ts"
import { type Amount, chargeOf, isNothing, nothing, release, spend } from "../../schema/Counters.ts"
import type { AgentId, TicketId } from "../../schema/Ids.ts"
import type { LoopStep } from "../../schema/Loop.ts"
import type { StoreError } from "../../schema/StoreError.ts"
import { outcomeOf } from "./GateUse.ts"
import { type AgentState, type MemoryStateData, nano, refusal, type Ticket } from "./MemoryState.ts"

/** A repeated settlement never moves anything: only a first one, and a real outcome after an orphan's charge. */
export const settle = (
  state: MemoryStateData,
  root: AgentId,
  id: TicketId,
  settlement: Settlement,
  nowMs: number
): Settled | StoreError => {
  const ticket = state.open.get(id) ?? state.closed.get(id)
  if (ticket === undefined || ticket.agent.root.id !== root) return settled(nothing, "unknown")
  if (ticket.state !== "open" && ticket.state !== "orphaned") return settled(ticket.charged, "already")
  const late = ticket.state === "orphaned"
  if (late && settlement._tag === "Orphaned") return settled(ticket.charged, "already")
  const charge = chargeOf(settlement, ticket.held)
  if (charge.usd < 0n || charge.tokens < 0n)
    return refusal("admission", "settle", "refused", "a charge cannot be negative")

  if (!late && !isNothing(ticket.held)) for (const counter of ticket.counters) release(counter, ticket.held)
  const change: Amount = { usd: charge.usd - ticket.charged.usd, tokens: charge.tokens - ticket.charged.tokens }
  if (!isNothing(change)) for (const counter of ticket.counters) spend(counter, change)
  const model = (settlement._tag === "Spent" ? settlement.model : null) ?? ticket.request.facts.model
  for (const agent of ticket.agent.path) {
    if (late) addModel(agent, ticket.model, { usd: -ticket.charged.usd, tokens: -ticket.charged.tokens })
    else agent.openTickets -= 1
    addModel(agent, model, charge)
  }
  if (settlement._tag !== "Orphaned") {
    replaceStep(ticket, settlement._tag === "Refused" ? null : { resultHash: settlement.resultHash })
  }

  ticket.charged = charge
  ticket.model = model
  ticket.state = ends[settlement._tag]
  ticket.closedMs = nowMs
  state.open.delete(id)
  close(state, ticket)
  return settled(charge, late ? "late" : "settled")
}

const ends = { Orphaned: "orphaned", Refused: "released", Held: "settled", Spent: "settled" } as const

const settled = (charge: Amount, outcome: Settled["outcome"]): Settled => ({
  usd: nano(charge.usd),
  tokens: charge.tokens,
  outcome
})

export const addModel = (agent: AgentState, model: string | null, amount: Amount) => {
  if (model === null || isNothing(amount)) return
  const spent = agent.models.get(model) ?? { usd: 0n, tokens: 0n }
  agent.models.set(model, { usd: spent.usd + amount.usd, tokens: spent.tokens + amount.tokens })
}

/** Writes the result of a call into the session's last calls; a call that never started leaves them. */
const replaceStep = (ticket: Ticket, result: Pick<LoopStep, "resultHash"> | null) => {
  const { session, step } = ticket
  if (step === null) return
  const index = session.recent.lastIndexOf(step)
  ticket.step = result === null ? null : { signature: step.signature, resultHash: result.resultHash }
  if (index < 0) return
  session.recent = ticket.step === null ? session.recent.toSpliced(index, 1) : session.recent.with(index, ticket.step)
}

/** Settled tickets stay for 24 hours, so that a repeated request meets its first answer; the oldest go early when there are too many. */
export const close = (state: MemoryStateData, ticket: Ticket) => {
  const { ticket: id } = ticket.request
  if (!state.closed.has(id)) {
    ticket.queuedMs = ticket.closedMs
    state.closedOrder.push(ticket)
  }
  state.closed.set(id, ticket)
  if (state.closed.size > state.limits.settledTickets) dropOldest(state)
}

const dropOldest = (state: MemoryStateData) => {
  const oldest = state.closedOrder.shift()
  if (oldest === undefined) return
  const { approval, ticket } = oldest.request
  const row = approval === undefined ? undefined : state.gates.get(approval.requestId)
  if (row !== undefined && row.gate.ticket === ticket) row.outcome = outcomeOf(oldest)
  state.closed.delete(ticket)
}

export const expired = (state: MemoryStateData, limit: number, nowMs: number): ReadonlyArray<ExpiredTicket> => {
  const found: Array<ExpiredTicket> = []
  for (const ticket of state.open.values()) {
    if (found.length >= limit) break
    if (ticket.untilMs > nowMs) continue
    const { agentId, facts, root, sessionId, ticket: id } = ticket.request
    found.push({
      ...{ ticket: id, root, agentId, sessionId, facts, openedAtMs: ticket.openedMs },
      ...{ heldUsd: nano(ticket.held.usd), heldTokens: ticket.held.tokens }
    })
  }
  return found
}

export const forget = (state: MemoryStateData, limit: number, nowMs: number): number => {
  let gone = 0
  for (let left = state.closedOrder.size(); left > 0 && gone < limit; left--) {
    const oldest = state.closedOrder.peek()
    if (oldest === undefined || oldest.queuedMs + forgetAfterMs > nowMs) break
    // A late outcome begins the day anew.
    if (oldest.closedMs + forgetAfterMs > nowMs) {
      state.closedOrder.shift()
      oldest.queuedMs = oldest.closedMs
      state.closedOrder.push(oldest)
      continue
    }
    dropOldest(state)
    gone += 1
  }
  return gone
}

const forgetAfterMs = 24 * 60 * 60 * 1000
