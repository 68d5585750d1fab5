/** Agents, their lineage and their halts in the memory state. */
import { Clock, DateTime, Effect, Layer } from "effect"
import type { AgentId } from "../../schema/Ids.ts"
import type { AgentPresence, Halt } from "../../schema/Presence.ts"
import type { StoreError } from "../../schema/StoreError.ts"
import { type EnrolResult, PresenceStore } from "../../services/PresenceStore.ts"
import { type AgentState, agentOf, isTooDeep, MemoryState, type MemoryStateData, refuse } from "./MemoryState.ts"
import { CurrentJournal } from "./StoreTransaction.ts"

export const make = Effect.map(MemoryState, (state) =>
  PresenceStore.of({
    enrol: (agentId, parent) => Effect.suspend(() => enrol(state, agentId, parent)),

    heartbeat: ({ agentId, metadata, operatorId, status }) =>
      Clock.clockWith((clock) =>
        Effect.suspend(() => {
          const agent = agentOf(state, agentId)
          if (agent === undefined) return noRoom("heartbeat")
          const before = agent.presence
          agent.presence = {
            status,
            lastSeenMs: clock.currentTimeMillisUnsafe(),
            operatorId: operatorId ?? before?.operatorId ?? null,
            metadata: { ...before?.metadata, ...withoutHaltKeys(metadata ?? {}) }
          }
          return Effect.void
        })
      ),

    remove: (agentId) =>
      Effect.sync(() => {
        const agent = state.agents.get(agentId)
        if (agent !== undefined) agent.presence = null
      }),

    list: Effect.sync(() =>
      [...state.agents.values()].filter(({ halt, presence }) => halt !== null || presence !== null).map(presenceOf)
    ),

    markStale: (timeoutMs) =>
      Clock.clockWith((clock) =>
        Effect.sync(() => {
          const before = clock.currentTimeMillisUnsafe() - timeoutMs
          const stale: Array<AgentId> = []
          for (const { id, presence } of state.agents.values()) {
            if (presence === null || presence.status === "unresponsive" || presence.lastSeenMs >= before) continue
            presence.status = "unresponsive"
            stale.push(id)
          }
          return stale
        })
      ),

    halts: Effect.sync(() => [...state.halted.values()].flatMap(({ halt }) => (halt === null ? [] : [halt]))),

    halt: ({ agentId, haltedBy, reason }) =>
      Effect.flatMap(Effect.all([Clock.currentTimeMillis, CurrentJournal]), ([nowMs, journal]) =>
        Effect.suspend((): Effect.Effect<{ changed: boolean; halt: Halt }, StoreError> => {
          const agent = agentOf(state, agentId)
          if (agent === undefined) return noRoom("halt")
          if (agent.halt !== null) return Effect.succeed({ changed: false, halt: agent.halt })
          const halt: Halt = { agentId, haltedBy, haltedAt: DateTime.makeUnsafe(nowMs), reason }
          agent.halt = halt
          state.halted.set(agentId, agent)
          journal?.onEnd.push((committed) => {
            if (!committed && agent.halt === halt) lift(state, agent)
          })
          return Effect.succeed({ changed: true, halt })
        })
      ),

    resume: (agentId) =>
      Effect.map(CurrentJournal, (journal) => {
        const agent = state.halted.get(agentId)
        if (agent === undefined) return null
        const { halt } = agent
        // Inside a transaction the agent stays halted until the commit: nothing may run on a resume that is rolled back.
        if (journal === null) lift(state, agent)
        else {
          journal.onEnd.push((committed) => {
            if (committed && agent.halt === halt) lift(state, agent)
          })
        }
        return halt
      })
  })
)

export const layer: Layer.Layer<PresenceStore, never, MemoryState> = Layer.effect(PresenceStore, make)

const lift = (state: MemoryStateData, agent: AgentState) => {
  agent.halt = null
  state.halted.delete(agent.id)
}

const noRoom = (operation: string) =>
  refuse("presence", operation, "overload", "the memory store has no room for another agent")

const enrol = (state: MemoryStateData, agentId: AgentId, parent: AgentId | null) => {
  const known = state.agents.get(agentId)
  if (known !== undefined) {
    return Effect.succeed(
      parent === null || known.parent?.id === parent ? enrolled(known) : ({ _tag: "AgentExists" } satisfies EnrolResult)
    )
  }
  const above = parent === null ? null : state.agents.get(parent)
  if (above === undefined) return Effect.succeed<EnrolResult>({ _tag: "ParentUnknown" })
  if (above !== null && isTooDeep(above)) return Effect.succeed<EnrolResult>({ _tag: "TooDeep" })
  const agent = agentOf(state, agentId, above)
  return agent === undefined ? noRoom("enrol") : Effect.succeed(enrolled(agent))
}

const enrolled = (agent: AgentState): EnrolResult => ({
  _tag: "Enrolled",
  lineage: { root: agent.root.id, path: agent.path.map(({ id }) => id) }
})

/** A heartbeat that could write these keys could fake or hide a halt (PRS-16). */
const withoutHaltKeys = (metadata: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.startsWith("_halt")))

const presenceOf = ({ halt, id, parent, presence }: AgentState): AgentPresence => ({
  agentId: id,
  parent: parent?.id ?? null,
  status: halt === null ? presence!.status : "halted",
  lastSeen: presence === null ? null : DateTime.makeUnsafe(presence.lastSeenMs),
  operatorId: presence?.operatorId ?? null,
  metadata: {
    ...presence?.metadata,
    ...(halt === null
      ? {}
      : { _halted_by: halt.haltedBy, _halted_at: DateTime.formatIso(halt.haltedAt), _halt_reason: halt.reason })
  }
})
