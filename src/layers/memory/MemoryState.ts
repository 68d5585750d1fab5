/**
 * Everything that the memory stores know, in one object: the stores are views of it, so that admission can read halts,
 * policies and counters and write its hold in one synchronous step, as one SQL function does on Postgres.
 */
import { Context, DateTime, Effect, Layer } from "effect"
import type { Admission, Verdict } from "../../schema/Call.ts"
import { type Amount, type Counter, emptyCounter, idle, type Limit } from "../../schema/Counters.ts"
import type { EarlierOutcome, Gate, GateRequestId, GateVote } from "../../schema/GateRequest.ts"
import type { AgentId, OperatorId, SessionId, TicketId } from "../../schema/Ids.ts"
import type { LoopPolicy, LoopStep } from "../../schema/Loop.ts"
import { NanoUsd, zeroUsd } from "../../schema/Money.ts"
import type { StoredPolicy } from "../../schema/Policy.ts"
import { type AgentStatus, type Halt, maxDepth } from "../../schema/Presence.ts"
import { StoreError } from "../../schema/StoreError.ts"
import * as BoundedMap from "./BoundedMap.ts"
import * as Fifo from "./Fifo.ts"

/** How much is remembered at most. Open tickets, halts and policies are never forgotten. */
export interface MemoryLimits {
  readonly agents: number
  readonly sessions: number
  /** Settled tickets, for idempotence. They also go 24 hours after their outcome. */
  readonly settledTickets: number
  readonly toolsPerSession: number
}

export const defaultLimits: MemoryLimits = {
  agents: 100_000,
  sessions: 100_000,
  settledTickets: 8_192,
  toolsPerSession: 256
}

export interface AgentPolicyState {
  readonly stored: Map<StoredPolicy["kind"], StoredPolicy>
  /** Versions survive removal, so that a policy that comes back is never taken for the one that went. */
  readonly versions: Map<StoredPolicy["kind"], number>
  limits: ReadonlyArray<Limit>
  loop: LoopPolicy | null
}

export interface PresenceState {
  status: Exclude<AgentStatus, "halted">
  lastSeenMs: number
  operatorId: OperatorId | null
  metadata: Readonly<Record<string, unknown>>
}

/** One agent's row: immutable lineage, and what is counted and said about it. */
export interface AgentState {
  readonly id: AgentId
  readonly parent: AgentState | null
  readonly root: AgentState
  /** From the root to this agent, itself last. */
  readonly path: ReadonlyArray<AgentState>
  readonly policies: AgentPolicyState
  readonly days: Map<string, Counter>
  readonly models: Map<string, { usd: bigint; tokens: bigint }>
  children: number
  openTickets: number
  halt: Halt | null
  presence: PresenceState | null
}

/** One agent in one session. Calls without a session share one, so that leaving it out escapes no cap. */
export interface SessionState {
  readonly counter: Counter
  /** When the first call was admitted or tracked; null before. */
  startedMs: number | null
  /** Immutable arrays, replaced on change: verdicts keep what they answered. */
  recent: ReadonlyArray<LoopStep>
  readonly windows: Map<string, Array<number>>
}

export interface Ticket {
  readonly request: Admission
  readonly agent: AgentState
  readonly verdict: Verdict
  readonly held: Amount
  /** The counters of every agent on the path: session and day. A call that ends after midnight stays on its day (U-09). */
  readonly counters: ReadonlyArray<Counter>
  readonly session: SessionState
  readonly openedMs: number
  step: LoopStep | null
  untilMs: number
  /** `refused` by admission; `released`: admitted, and then it never began. */
  state: "open" | "orphaned" | "settled" | "released" | "refused"
  charged: Amount
  model: string | null
  closedMs: number
  /** When it took its place in `closedOrder`; a late outcome moves `closedMs` alone. */
  queuedMs: number
}

export interface MemoryStateData {
  readonly limits: MemoryLimits
  readonly agents: Map<AgentId, AgentState>
  /** Policies may arrive before the agent does, and outlive its row. */
  readonly policies: Map<AgentId, AgentPolicyState>
  readonly halted: Map<AgentId, AgentState>
  readonly sessions: BoundedMap.BoundedMap<string, SessionState>
  /** In order of opening. */
  readonly open: Map<TicketId, Ticket>
  readonly closed: Map<TicketId, Ticket>
  /** The closed tickets in the order in which they were first closed. */
  readonly closedOrder: Fifo.Fifo<Ticket>
  readonly tracked: BoundedMap.BoundedMap<string, true>
  /** In order of making. */
  readonly gates: Map<GateRequestId, GateRow>
  readonly deployment: string
}

export interface GateRow {
  gate: Gate
  votes: ReadonlyArray<GateVote>
  /** What became of the call that used the grant, once its ticket is forgotten. */
  outcome: EarlierOutcome | null
}

export class MemoryState extends Context.Service<MemoryState, MemoryStateData>()(
  "effect-governance/layers/memory/MemoryState"
) {}

export const make = (limits: Partial<MemoryLimits> = {}): MemoryStateData => {
  const all = { ...defaultLimits, ...limits }
  return {
    limits: all,
    agents: new Map(),
    policies: new Map(),
    halted: new Map(),
    sessions: BoundedMap.make<string, SessionState>(all.sessions, (session) => !idle(session.counter)),
    open: new Map(),
    closed: new Map(),
    closedOrder: Fifo.make<Ticket>(),
    tracked: BoundedMap.make<string, true>(all.settledTickets),
    gates: new Map(),
    deployment: globalThis.crypto.randomUUID()
  }
}

export const layerWith = (limits: Partial<MemoryLimits>) => Layer.sync(MemoryState, () => make(limits))
export const layer: Layer.Layer<MemoryState> = layerWith({})

export const policiesOf = (state: MemoryStateData, agentId: AgentId): AgentPolicyState => {
  const known = state.policies.get(agentId)
  if (known !== undefined) return known
  const fresh: AgentPolicyState = { stored: new Map(), versions: new Map(), limits: [], loop: null }
  state.policies.set(agentId, fresh)
  return fresh
}

/** The agent's row; an agent that nobody delegated to becomes a root. Undefined when there is no room for another agent. */
export const agentOf = (
  state: MemoryStateData,
  agentId: AgentId,
  parent: AgentState | null = null
): AgentState | undefined => {
  const known = state.agents.get(agentId)
  if (known !== undefined) return known
  if (state.agents.size >= state.limits.agents && !evictBareAgent(state)) return undefined
  const path: Array<AgentState> = parent === null ? [] : [...parent.path]
  const fresh: AgentState = {
    id: agentId,
    parent,
    get root() {
      return path[0]!
    },
    path,
    policies: policiesOf(state, agentId),
    days: new Map(),
    models: new Map(),
    children: 0,
    openTickets: 0,
    halt: null,
    presence: null
  }
  path.push(fresh)
  if (parent !== null) parent.children += 1
  state.agents.set(agentId, fresh)
  return fresh
}

export const isTooDeep = (parent: AgentState): boolean => parent.path.length >= maxDepth

export const sessionKey = (agentId: AgentId, sessionId: SessionId | null): string =>
  sessionId === null ? agentId : `${agentId}\u0000${sessionId}`

export const sessionOf = (state: MemoryStateData, agentId: AgentId, sessionId: SessionId | null): SessionState => {
  const key = sessionKey(agentId, sessionId)
  const known = state.sessions.get(key)
  if (known !== undefined) return known
  const fresh: SessionState = { counter: emptyCounter(), startedMs: null, recent: [], windows: new Map() }
  state.sessions.set(key, fresh)
  return fresh
}

/** The counter of one UTC day. Days before yesterday are dropped: no cap looks at them, and open tickets keep their own. */
export const dayOf = (agent: AgentState, day: string): Counter => {
  const known = agent.days.get(day)
  if (known !== undefined) return known
  const fresh = emptyCounter()
  agent.days.set(day, fresh)
  for (const old of agent.days.keys()) {
    if (agent.days.size <= 2) break
    agent.days.delete(old)
  }
  return fresh
}

export const secondsIn = (session: SessionState, nowMs: number): bigint =>
  session.startedMs === null ? 0n : BigInt(Math.max(0, Math.floor((nowMs - session.startedMs) / 1000)))

let lastDay = { number: Number.NaN, text: "" }

/** The UTC date of a moment, formatted once a day. */
export const utcDay = (nowMs: number): string => {
  const number = Math.floor(nowMs / 86_400_000)
  if (lastDay.number !== number) lastDay = { number, text: DateTime.formatIsoDateUtc(DateTime.makeUnsafe(nowMs)) }
  return lastDay.text
}

export const refusal = (store: string, operation: string, problem: StoreError["problem"], detail: string): StoreError =>
  StoreError.because({ store, operation, problem }, detail)

export const refuse = (...facts: Parameters<typeof refusal>): Effect.Effect<never, StoreError> =>
  Effect.fail(refusal(...facts))

/** Sums beyond what Postgres can store stay at the largest amount: no cap is higher (U-14). */
export const nano = (amount: bigint): NanoUsd =>
  amount === 0n ? zeroUsd : NanoUsd.make(amount > largestUsd ? largestUsd : amount)

const largestUsd = 2n ** 63n - 1n

/**
 * Forgets an old root that nothing depends on. A delegate MUST stay: without its row it would come back free of its caps.
 * Agents that stay go to the end, so that the search moves on.
 */
const evictBareAgent = (state: MemoryStateData): boolean => {
  let looked = 0
  for (const agent of state.agents.values()) {
    if (looked++ > 64) return false
    state.agents.delete(agent.id)
    const depended = agent.parent !== null || agent.children > 0 || agent.openTickets > 0
    if (!depended && agent.halt === null && agent.presence === null && agent.policies.versions.size === 0) {
      state.policies.delete(agent.id)
      return true
    }
    state.agents.set(agent.id, agent)
  }
  return false
}
