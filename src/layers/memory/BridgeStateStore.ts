import { Effect, Layer } from "effect"
import { type BridgeState, BridgeStateStore } from "../../services/BridgeStateStore.ts"

/** The sequence of an outbox over a log that dies with it. */
export const make = Effect.sync(() => {
  const states = new Map<string, BridgeState>()
  return BridgeStateStore.of({
    open: (reader, instance) =>
      Effect.sync(() => {
        const state = states.get(reader) ?? { instance, revision: 1, nextSeq: 1, inFlight: [] }
        states.set(reader, state)
        return state
      }),
    read: (reader) => Effect.sync(() => states.get(reader) ?? null),
    move: (reader, revision, { inFlight, nextSeq }) =>
      Effect.sync(() => {
        const state = states.get(reader)
        if (state === undefined || state.revision !== revision) return false
        states.set(reader, { instance: state.instance, revision: revision + 1, nextSeq, inFlight: [...inFlight] })
        return true
      })
  })
})

export const layer = Layer.effect(BridgeStateStore, make)
