import { Effect, Layer } from "effect"
import type { WorkflowPlace } from "../../schema/Workspace.ts"
import {
  type WitnessAlarm,
  type Witnessed,
  type WitnessedAdoption,
  type WitnessedChain,
  WitnessStore
} from "../../services/WitnessStore.ts"

/** A witness that forgets with the process. */
export const make = Effect.sync(() => {
  const logs = new Map<string, Witnessed>()
  const chains = new Map<string, Map<string, WitnessedChain>>()
  const adoptions = new Map<string, Array<WitnessedAdoption>>()
  const alarms = new Map<string, Array<WitnessAlarm>>()
  const placeKey = ({ workflow, workspace }: WorkflowPlace) => `${workspace} ${workflow} `
  const keyOf = (place: WorkflowPlace, origin: string) => placeKey(place) + origin

  return WitnessStore.of({
    find: (place, origin) => Effect.sync(() => logs.get(keyOf(place, origin)) ?? null),
    list: (place) =>
      Effect.sync(() => [...logs].filter(([key]) => key.startsWith(placeKey(place))).map(([, witnessed]) => witnessed)),
    chains: (place, origin, names) =>
      Effect.sync(() => {
        const known = chains.get(keyOf(place, origin))
        return names.flatMap((name) => known?.get(name) ?? [])
      }),
    advance: (place, from, to, moved) =>
      Effect.sync(() => {
        const key = keyOf(place, to.origin)
        const current = logs.get(key)
        if ((current?.size ?? null) !== (from?.size ?? null) || (current?.root ?? null) !== (from?.root ?? null)) {
          return false
        }
        logs.set(key, to)
        const known = chains.get(key) ?? new Map<string, WitnessedChain>()
        for (const chain of moved) known.set(chain.chain, chain)
        chains.set(key, known)
        return true
      }),
    adopt: (place, from, to, adoption) =>
      Effect.sync(() => {
        const key = keyOf(place, to.origin)
        const current = logs.get(key)
        if (current?.size !== from.size || current.root !== from.root) return false
        logs.set(key, to)
        chains.delete(key)
        adoptions.set(placeKey(place), [...(adoptions.get(placeKey(place)) ?? []), adoption])
        return true
      }),
    adoptions: (place, limit) => Effect.sync(() => latest(adoptions.get(placeKey(place)), limit)),
    raise: (place, alarm) =>
      Effect.sync(() => {
        const own = alarms.get(placeKey(place)) ?? []
        if (!own.some((known) => known.alarm === alarm.alarm)) own.push(alarm)
        alarms.set(placeKey(place), own)
      }),
    alarms: (place, limit) => Effect.sync(() => latest(alarms.get(placeKey(place)), limit))
  })
})

const latest = <A extends { readonly seenMs: number }>(all: ReadonlyArray<A> = [], limit: number) =>
  [...all].sort((left, right) => right.seenMs - left.seenMs).slice(0, limit)

export const layer = Layer.effect(WitnessStore, make)
