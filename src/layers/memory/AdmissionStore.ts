/** Admission over the memory state: one synchronous step, so nothing can come between the question and the hold. */
import { Clock, Effect, Layer } from "effect"
import type { Admission, Verdict } from "../../schema/Call.ts"
import type { CapState } from "../../schema/Cost.ts"
import { type Counter, capStates, hold, holding, isNothing, nothing } from "../../schema/Counters.ts"
import type { LoopStep } from "../../schema/Loop.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { AdmissionStore } from "../../services/AdmissionStore.ts"
import { unapproved, usable, useUp } from "./GateUse.ts"
import { countCall } from "./LoopWindow.ts"
import {
  type AgentState,
  agentOf,
  dayOf,
  MemoryState,
  type MemoryStateData,
  nano,
  refusal,
  type SessionState,
  secondsIn,
  sessionOf,
  utcDay
} from "./MemoryState.ts"
import { close, expired, forget, settle } from "./Settlement.ts"

export const make = Effect.map(MemoryState, (state) =>
  AdmissionStore.of({
    admit: (request) => Clock.clockWith((clock) => answer(admit(state, request, clock.currentTimeMillisUnsafe()))),
    settle: (root, ticket, settlement) =>
      Clock.clockWith((clock) => answer(settle(state, root, ticket, settlement, clock.currentTimeMillisUnsafe()))),
    now: {
      admit: (request, nowMs) => admit(state, request, nowMs),
      settle: (root, ticket, settlement, nowMs) => settle(state, root, ticket, settlement, nowMs)
    },
    renew: (root, ticket, leaseMs) =>
      Clock.clockWith((clock) =>
        Effect.sync(() => {
          const open = state.open.get(ticket)
          if (open === undefined || open.agent.root.id !== root) return false
          open.untilMs = clock.currentTimeMillisUnsafe() + leaseMs
          return true
        })
      ),
    expired: (limit) =>
      Clock.clockWith((clock) => Effect.sync(() => expired(state, limit, clock.currentTimeMillisUnsafe()))),
    forget: (limit) =>
      Clock.clockWith((clock) => Effect.sync(() => forget(state, limit, clock.currentTimeMillisUnsafe())))
  })
)

export const layer: Layer.Layer<AdmissionStore, never, MemoryState> = Layer.effect(AdmissionStore, make)

/** The session's last calls that admission returns. */
const recentCalls = 32

const answer = <A>(result: A | StoreError): Effect.Effect<A, StoreError> =>
  result instanceof StoreError ? Effect.fail(result) : Effect.succeed(result)

const admit = (state: MemoryStateData, request: Admission, nowMs: number): Verdict | StoreError => {
  const known = state.open.get(request.ticket) ?? state.closed.get(request.ticket)
  if (known !== undefined) {
    return known.request.root === request.root && known.request.agentId === request.agentId
      ? known.verdict
      : refusal("admission", "admit", "refused", "the ticket belongs to another agent")
  }
  const isRoot = request.agentId === request.root
  const agent = state.agents.get(request.agentId) ?? (isRoot ? agentOf(state, request.agentId) : undefined)
  if (agent === undefined) {
    return isRoot
      ? refusal("admission", "admit", "overload", "the memory store has no room for another agent")
      : refusal("admission", "admit", "refused", "a delegate must be enrolled before its first call")
  }
  // A foreign root would be charged and locked in place of the real one.
  if (agent.root.id !== request.root) return refusal("admission", "admit", "refused", "the agent has another root")
  if (request.approval === undefined) return decide(state, agent, request, nowMs)
  const approval = usable(state, request.approval, request.agentId, nowMs)
  if (approval === undefined) return unapproved
  const verdict = decide(state, agent, request, nowMs)
  useUp(approval, request.ticket, verdict)
  return verdict
}

const decide = (state: MemoryStateData, agent: AgentState, request: Admission, nowMs: number): Verdict => {
  const session = sessionOf(state, agent.id, request.sessionId)

  const halted = agent.path.find(isHalted)
  if (halted !== undefined)
    return refuseTicket(state, agent, request, session, nowMs, { _tag: "Halted", halt: halted.halt! })

  const policy = agent.policies.loop
  const counted =
    request.tool === null || policy === null
      ? null
      : countCall(session, request.tool, policy, nowMs, state.limits.toolsPerSession)
  const loop = counted !== null && counted.count > counted.maxCalls ? counted : null
  if (loop !== null && policy?.action === "raise") {
    return refuseTicket(state, agent, request, session, nowMs, { _tag: "Looping", loop })
  }

  const day = utcDay(nowMs)
  const sessions: Array<SessionState> = []
  const counters: Array<Counter> = []
  let caps: Array<CapState> = noCaps
  for (const each of agent.path) {
    const its = each === agent ? session : sessionOf(state, each.id, request.sessionId)
    const today = dayOf(each, day)
    sessions.push(its)
    counters.push(its.counter, today)
    const { limits } = each.policies
    if (limits.length === 0) continue
    const periods = { session: its.counter, day: today, sessionSeconds: secondsIn(its, nowMs) }
    caps = [...caps, ...capStates(each.id, limits, periods)]
  }
  const fit = holding(caps, request.hold)
  if (fit._tag === "Short") return refuseTicket(state, agent, request, session, nowMs, fit)

  for (const its of sessions) its.startedMs ??= nowMs
  for (const each of agent.path) each.openTickets += 1
  if (!isNothing(fit.amount)) for (const counter of counters) hold(counter, fit.amount)
  const verdict: Verdict = {
    _tag: "Admitted",
    heldUsd: nano(fit.amount.usd),
    heldTokens: fit.amount.tokens,
    day,
    recent: policy?.progress === undefined ? noSteps : session.recent,
    loop
  }
  // Three copies of the list for each call: only where somebody looks at it.
  const step =
    request.tool === null || policy?.progress === undefined ? null : { signature: request.signature, resultHash: null }
  if (step !== null) session.recent = [...session.recent.slice(1 - recentCalls), step]
  state.open.set(request.ticket, {
    request,
    agent,
    verdict,
    held: fit.amount,
    counters,
    session,
    openedMs: nowMs,
    step,
    untilMs: nowMs + request.leaseMs,
    state: "open",
    charged: nothing,
    model: null,
    closedMs: 0,
    queuedMs: 0
  })
  return verdict
}

const isHalted = (agent: AgentState) => agent.halt !== null
const noCaps: Array<CapState> = []
const noSteps: ReadonlyArray<LoopStep> = []

/** A refused ticket is remembered too: a retry of it MUST meet the same answer. */
const refuseTicket = (
  state: MemoryStateData,
  agent: AgentState,
  request: Admission,
  session: SessionState,
  nowMs: number,
  verdict: Verdict
): Verdict => {
  close(state, {
    request,
    agent,
    verdict,
    held: nothing,
    counters: [],
    session,
    openedMs: nowMs,
    step: null,
    untilMs: nowMs,
    state: "refused",
    charged: nothing,
    model: null,
    closedMs: nowMs,
    queuedMs: nowMs
  })
  return verdict
}
