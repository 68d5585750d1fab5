import { Context, Effect, Layer } from "effect"
import type { AgentId, SessionId } from "../schema/Ids.ts"

/** Sliding windows in this process's memory: what counts while the store cannot be asked (design: store down). */
export class LoopWindow extends Context.Service<
  LoopWindow,
  {
    /** Adds one call now and returns how many lie within the window, this one included. */
    readonly count: (
      agentId: AgentId,
      sessionId: SessionId | null,
      tool: string,
      windowSeconds: number
    ) => Effect.Effect<number>
  }
>()("effect-governance/services/LoopWindow") {}

export const make = (maxWindows = 10_000) => {
  const windows = new Map<string, ReadonlyArray<number>>()
  return LoopWindow.of({
    count: (agentId, sessionId, tool, windowSeconds) =>
      Effect.clockWith((clock) => {
        // Elapsed time, not the wall clock: a clock that is set must not empty a window.
        const nowMs = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
        const key = JSON.stringify([agentId, sessionId, tool])
        const before = (windows.get(key) ?? []).filter((at) => at > nowMs - windowSeconds * 1000)
        const calls = [...before, nowMs].slice(-maxCounted)
        // Deleting first keeps the map in order of use, so that the first key is the one to forget.
        windows.delete(key)
        windows.set(key, calls)
        const oldest = windows.keys().next()
        if (windows.size > maxWindows && oldest.done === false) windows.delete(oldest.value)
        return Effect.succeed(calls.length)
      })
  })
}

export const layer = Layer.sync(LoopWindow, () => make())

const maxCounted = 1001
