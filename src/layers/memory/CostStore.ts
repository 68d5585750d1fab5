/** The counters of the memory state, read and added to directly. */
import { Clock, Effect, Layer } from "effect"
import type { BudgetState } from "../../schema/Cost.ts"
import { capStates, emptyCounter, spend } from "../../schema/Counters.ts"
import { CostStore } from "../../services/CostStore.ts"
import { agentOf, dayOf, MemoryState, nano, refuse, secondsIn, sessionKey, sessionOf, utcDay } from "./MemoryState.ts"
import { addModel } from "./Settlement.ts"

export const make = Effect.map(MemoryState, (state) =>
  CostStore.of({
    snapshot: (agentId, sessionId) =>
      Clock.clockWith((clock) =>
        Effect.sync((): BudgetState => {
          const nowMs = clock.currentTimeMillisUnsafe()
          const today = utcDay(nowMs)
          const agent = state.agents.get(agentId)
          const session = state.sessions.get(sessionKey(agentId, sessionId))?.counter ?? emptyCounter()
          const day = agent?.days.get(today) ?? emptyCounter()
          const path = agent?.path ?? [{ id: agentId, policies: state.policies.get(agentId), days: new Map() }]
          return {
            ...{
              agentId,
              sessionId,
              day: today,
              sessionUsd: nano(session.spentUsd),
              sessionTokens: session.spentTokens
            },
            ...{ dailyUsd: nano(day.spentUsd), dailyTokens: day.spentTokens, heldUsd: nano(day.heldUsd) },
            caps: path.flatMap((each) => {
              const its = state.sessions.get(sessionKey(each.id, sessionId))
              return capStates(each.id, each.policies?.limits ?? [], {
                session: its?.counter ?? emptyCounter(),
                day: each.days.get(today) ?? emptyCounter(),
                sessionSeconds: its === undefined ? 0n : secondsIn(its, nowMs)
              })
            })
          }
        })
      ),

    track: ({ agentId, id, model, sessionId, tokens, usd }) =>
      Clock.clockWith((clock) =>
        Effect.suspend(() => {
          if (usd < 0n || tokens < 0n) return refuse("cost", "track", "refused", "what is spent cannot be negative")
          const agent = agentOf(state, agentId)
          if (agent === undefined)
            return refuse("cost", "track", "overload", "the memory store has no room for another agent")
          const key = `${agent.root.id}\u0000${id}`
          if (state.tracked.get(key) === true) return Effect.void
          state.tracked.set(key, true)
          const nowMs = clock.currentTimeMillisUnsafe()
          for (const each of agent.path) {
            const session = sessionOf(state, each.id, sessionId)
            session.startedMs ??= nowMs
            spend(session.counter, { usd, tokens })
            spend(dayOf(each, utcDay(nowMs)), { usd, tokens })
            addModel(each, model, { usd, tokens })
          }
          return Effect.void
        })
      ),

    breakdown: (agentId) =>
      Effect.sync(() =>
        [...(state.agents.get(agentId)?.models ?? [])]
          .filter(([, { tokens, usd }]) => usd !== 0n || tokens !== 0n)
          .map(([model, { tokens, usd }]) => ({ model, usd: nano(usd), tokens }))
      )
  })
)

export const layer: Layer.Layer<CostStore, never, MemoryState> = Layer.effect(CostStore, make)
