import { Clock, Effect, Layer } from "effect"
import { type CoverageInstance, type InstanceId, maxInstances, registrationDays } from "../../schema/Coverage.ts"
import { CoverageStore } from "../../services/CoverageStore.ts"

/** The registry of one process. */
export const make = Effect.sync(() => {
  const known = new Map<InstanceId, { readonly proof: string; readonly row: CoverageInstance }>()

  return CoverageStore.of({
    report: (own, proof) =>
      Effect.map(Clock.currentTimeMillis, (nowMs) => {
        const before = known.get(own.instance)
        const taken =
          before === undefined ||
          (before.proof === proof.join() &&
            before.row.machine === own.machine &&
            before.row.governed <= own.governed &&
            before.row.calls <= own.calls)
        if (!taken) return false
        const row = { ...own, startedAtMs: before?.row.startedAtMs ?? nowMs, lastSeenMs: nowMs }
        known.set(own.instance, { proof: proof.join(), row })
        for (const [instance, { row }] of known) {
          if (row.lastSeenMs < nowMs - registrationDays * msPerDay) known.delete(instance)
        }
        return true
      }),
    list: Effect.sync(() =>
      [...known.values()]
        .map(({ row }) => row)
        .sort((a, b) => b.lastSeenMs - a.lastSeenMs || (a.instance < b.instance ? -1 : 1))
        .slice(0, maxInstances)
    )
  })
})

export const layer = Layer.effect(CoverageStore, make)

const msPerDay = 86_400_000
