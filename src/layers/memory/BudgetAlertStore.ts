import { Effect, Layer } from "effect"
import { BudgetAlertStore } from "../../services/BudgetAlertStore.ts"
import * as BoundedMap from "./BoundedMap.ts"

/** Alerts that were sent, forgotten with the counters that they are about. */
export const make = Effect.sync(() => {
  const sent = BoundedMap.make<string, true>(100_000)
  const isNew = (...parts: ReadonlyArray<string>) => {
    const key = JSON.stringify(parts)
    if (sent.get(key) === true) return false
    sent.set(key, true)
    return true
  }
  return BudgetAlertStore.of({
    claim: ({ agentId, cap, day, session }) =>
      Effect.sync(() => (session === null || isNew(agentId, cap, "s", session)) && isNew(agentId, cap, "d", day))
  })
})

export const layer = Layer.effect(BudgetAlertStore, make)
