/** Loop windows of the memory state, the same ones that admission counts in. */
import { Clock, Effect, Layer } from "effect"
import { LoopStore } from "../../services/LoopStore.ts"
import { countCall, fullestWindow } from "./LoopWindow.ts"
import { MemoryState, sessionKey, sessionOf } from "./MemoryState.ts"

export const make = Effect.map(MemoryState, (state) =>
  LoopStore.of({
    record: (agentId, sessionId, tool) =>
      Clock.clockWith((clock) =>
        Effect.sync(() => {
          const policy = state.policies.get(agentId)?.loop ?? null
          if (policy === null) return null
          const session = sessionOf(state, agentId, sessionId)
          const nowMs = clock.currentTimeMillisUnsafe()
          return {
            ...countCall(session, tool.toLowerCase(), policy, nowMs, state.limits.toolsPerSession),
            action: policy.action
          }
        })
      ),
    peek: (agentId, sessionId) =>
      Clock.clockWith((clock) =>
        Effect.sync(() => {
          const policy = state.policies.get(agentId)?.loop ?? null
          if (policy === null) return null
          return fullestWindow(
            state.sessions.get(sessionKey(agentId, sessionId)),
            policy,
            clock.currentTimeMillisUnsafe()
          )
        })
      )
  })
)

export const layer: Layer.Layer<LoopStore, never, MemoryState> = Layer.effect(LoopStore, make)
