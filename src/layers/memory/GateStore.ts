/** Requests for approval in the memory state. A change inside a transaction is seen when it commits. */
import { Clock, Effect, Layer } from "effect"
import type { Gate, GateState } from "../../schema/GateRequest.ts"
import type { AgentId, OperatorId } from "../../schema/Ids.ts"
import type { StoreError } from "../../schema/StoreError.ts"
import {
  type GateDecided,
  type GateDecision,
  type GateOpened,
  type GateOpening,
  GateStore
} from "../../services/GateStore.ts"
import { earlierOf, isUndecided } from "./GateUse.ts"
import { agentOf, type GateRow, MemoryState, type MemoryStateData, refuse } from "./MemoryState.ts"
import { CurrentJournal } from "./StoreTransaction.ts"

export const make = Effect.map(MemoryState, (state) => {
  /** Runs at the commit, or at once outside a transaction. What was decided then still holds: transactions take turns. */
  const later = (apply: () => void) =>
    Effect.map(CurrentJournal, (journal) => {
      if (journal === null) apply()
      else journal.onEnd.push((committed) => committed && apply())
    })
  const timed = <A, E>(f: (nowMs: number) => Effect.Effect<A, E>) =>
    Clock.clockWith((clock) => Effect.suspend(() => f(clock.currentTimeMillisUnsafe())))

  return GateStore.of({
    open: (opening) =>
      timed((nowMs): Effect.Effect<GateOpened, StoreError> => {
        const made = open(state, opening, nowMs)
        if (!("_tag" in made)) return refuse("gates", "open", made.problem, "the agent has no place")
        if (made._tag !== "Opened") return Effect.succeed(made)
        const row: GateRow = { gate: made.gate, votes: [], outcome: null }
        return Effect.as(
          later(() => void state.gates.set(made.gate.requestId, row)),
          made
        )
      }),

    read: (requestId) =>
      timed((nowMs) => {
        const row = state.gates.get(requestId)
        return Effect.succeed(
          row === undefined
            ? null
            : {
                gate: shown(row.gate, nowMs),
                votes: row.votes,
                operatorsNow: operatorsOf(state, row.gate.agentId),
                policies: policiesOf(state, row.gate.agentId),
                nowMs
              }
        )
      }),

    stateOf: (requestId) =>
      timed((nowMs) => {
        const gate = state.gates.get(requestId)?.gate
        return Effect.succeed(
          gate === undefined ? null : gate.state === "pending" ? shown(gate, nowMs).state : gate.state
        )
      }),

    decide: (decision) =>
      timed((nowMs): Effect.Effect<GateDecided> => {
        const row = state.gates.get(decision.requestId)
        if (row === undefined || row.gate.root !== decision.root) return resolved("expired")
        if (row.gate.state !== "pending") return resolved(row.gate.state)
        if (row.gate.expiresAtMs <= nowMs) return Effect.succeed({ _tag: "Expired" })
        const moved = decision.reviewer !== undefined && decision.reviewer !== row.gate.reviewer
        if (moved || row.votes.length !== decision.votes) return Effect.succeed({ _tag: "Moved" })
        return Effect.as(
          later(() => decide(row, decision, nowMs)),
          { _tag: "Decided" }
        )
      }),

    expire: (root, requestId, early) =>
      timed((nowMs) => {
        const row = state.gates.get(requestId)
        if (row === undefined || row.gate.root !== root || !isOpen(row.gate)) return Effect.succeed(false)
        if (!early && row.gate.expiresAtMs > nowMs) return Effect.succeed(false)
        return Effect.as(
          later(() => {
            row.gate = { ...row.gate, state: "expired", decidedAtMs: row.gate.decidedAtMs ?? nowMs }
          }),
          true
        )
      }),

    claim: (root, requestId, from, to) =>
      Effect.suspend(() => {
        const row = state.gates.get(requestId)
        const free =
          row !== undefined && row.gate.root === root && row.gate.state === "pending" && row.gate.reviewer === from
        if (!free) return Effect.succeed(false)
        return Effect.as(
          later(() => {
            row.gate = { ...row.gate, reviewer: to }
          }),
          true
        )
      }),

    list: ({ agentId, limit, which }) =>
      timed((nowMs) =>
        Effect.succeed(
          [...state.gates.values()]
            .reverse()
            .filter(({ gate }) => agentId === null || gate.agentId === agentId)
            .map((row) => ({
              gate: shown(row.gate, nowMs),
              votes: row.votes.length,
              earlierOutcome: earlierOf(state, row)
            }))
            .filter(({ gate }) => which === "all" || gate.state === which)
            .slice(0, limit)
        )
      ),

    overdue: (limit) =>
      timed((nowMs) =>
        Effect.succeed(
          [...state.gates.values()]
            .map(({ gate }) => gate)
            .filter((gate) => isOpen(gate) && gate.expiresAtMs <= nowMs)
            .map((gate) => shown(gate, nowMs))
            .slice(0, limit)
        )
      ),

    hasGranted: (agentId) =>
      timed((nowMs) =>
        Effect.succeed(
          [...state.gates.values()].some(
            ({ gate }) => gate.agentId === agentId && gate.state === "granted" && gate.expiresAtMs > nowMs
          )
        )
      ),

    forget: (olderThanMs, limit) =>
      timed((nowMs) => {
        let gone = 0
        for (const { gate } of state.gates.values()) {
          if (gone >= limit) break
          if (isOpen(gate) || gate.expiresAtMs > nowMs || isUndecided(state, gate)) continue
          if ((gate.decidedAtMs ?? gate.createdAtMs) > nowMs - olderThanMs) continue
          state.gates.delete(gate.requestId)
          gone += 1
        }
        return Effect.succeed(gone)
      }),

    nowMs: Clock.currentTimeMillis,
    deploymentId: Effect.succeed(state.deployment)
  })
})

export const layer: Layer.Layer<GateStore, never, MemoryState> = Layer.effect(GateStore, make)

/** More requests than that are not kept: the oldest resolved ones go, and where there are none the new one is refused. */
const maxGates = 100_000

const open = (
  state: MemoryStateData,
  opening: GateOpening,
  nowMs: number
): GateOpened | { readonly problem: StoreError["problem"] } => {
  const agent = opening.agentId === opening.root ? agentOf(state, opening.agentId) : state.agents.get(opening.agentId)
  if (agent === undefined || agent.root.id !== opening.root) return { problem: "refused" }
  let pending = 0
  let earlier: Gate | undefined
  for (const { gate } of state.gates.values()) {
    if (gate.agentId !== opening.agentId) continue
    const good = isOpen(gate) && gate.expiresAtMs > nowMs
    const same = gate.matchKey === opening.matchKey
    if (same && good) return { _tag: "Known", gate }
    if (same && gate.state === "consumed") earlier = gate
    if (good && gate.state === "pending") pending += 1
  }
  if (pending >= opening.maxPending) return { _tag: "Full", pending }
  if (state.gates.size >= maxGates && !dropResolved(state)) return { problem: "overload" }
  const { agentId, sessionId, root, requestId, kind, actionHash, payload, matchKey, keyId, quorum } = opening
  const gate: Gate = {
    ...{ requestId, root, agentId, sessionId, kind, actionHash, payload, matchKey, keyId, quorum },
    state: "pending",
    createdAtMs: nowMs,
    expiresAtMs: nowMs + opening.expiresAfterMs,
    decidedAtMs: null,
    operators: operatorsOf(state, agentId),
    reviewer: null,
    approvers: [],
    decisionMac: null,
    approvedHash: null,
    editedPayload: null,
    ticket: null,
    earlier: earlier?.requestId ?? null
  }
  return { _tag: "Opened", gate }
}

const dropResolved = (state: MemoryStateData): boolean => {
  for (const { gate } of state.gates.values()) {
    if (!isOpen(gate)) return state.gates.delete(gate.requestId)
  }
  return false
}

const decide = (row: GateRow, decision: GateDecision, nowMs: number) => {
  const { actionHash, approver, approvers, editedPayload, mac } = decision
  if (decision.decision === "vote") {
    row.votes = [...row.votes, { approver, actionHash, editedPayload, mac }]
    return
  }
  const granted = decision.decision === "granted"
  row.gate = {
    ...row.gate,
    state: decision.decision,
    decidedAtMs: nowMs,
    approvers,
    decisionMac: mac,
    approvedHash: granted ? actionHash : null,
    editedPayload: granted ? editedPayload : null
  }
}

const isOpen = ({ state }: Gate) => state === "pending" || state === "granted"
const shown = (gate: Gate, nowMs: number): Gate =>
  isOpen(gate) && gate.expiresAtMs <= nowMs ? { ...gate, state: "expired" } : gate
const resolved = (state: GateState) => Effect.succeed<GateDecided>({ _tag: "Resolved", state })

const operatorsOf = (state: MemoryStateData, agentId: AgentId): ReadonlyArray<OperatorId> =>
  (state.agents.get(agentId)?.path ?? []).flatMap(({ presence }) => presence?.operatorId ?? [])

const policiesOf = (state: MemoryStateData, agentId: AgentId): ReadonlyArray<unknown> =>
  (state.agents.get(agentId)?.path ?? []).flatMap(({ policies }) => {
    const stored = policies.stored.get("gate")
    return stored === undefined ? [] : [stored.body]
  })
