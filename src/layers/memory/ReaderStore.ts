import { Clock, Effect, Layer } from "effect"
import type { ChainId } from "../../schema/Ids.ts"
import { ReaderStore, type Standing } from "../../services/ReaderStore.ts"

interface Reader {
  holder: string | null
  epoch: number
  untilMs: number
  begun: boolean
  readonly cursors: Map<ChainId, number>
}

/** Cursors that die with the log that they point into. */
export const make = Effect.sync(() => {
  const readers = new Map<string, Reader>()
  const readerOf = (name: string): Reader => {
    const known = readers.get(name)
    if (known !== undefined) return known
    const fresh: Reader = { holder: null, epoch: 0, untilMs: 0, begun: false, cursors: new Map() }
    readers.set(name, fresh)
    return fresh
  }

  return ReaderStore.of({
    lead: (name, holder, leaseMs) =>
      Effect.map(Clock.currentTimeMillis, (nowMs): Standing => {
        const reader = readerOf(name)
        if (reader.holder !== holder) {
          if (reader.holder !== null && reader.untilMs > nowMs) return { _tag: "Following" }
          reader.holder = holder
          reader.epoch++
        }
        reader.untilMs = nowMs + leaseMs
        return { _tag: "Leading", epoch: reader.epoch, begun: reader.begun }
      }),

    resign: (name, epoch) =>
      Effect.sync(() => {
        const reader = readerOf(name)
        if (reader.epoch === epoch) reader.holder = null
      }),

    cursors: (name, after, limit) =>
      Effect.sync(() =>
        [...readerOf(name).cursors]
          .filter(([chain]) => after === null || chain > after)
          .sort(([left], [right]) => (left < right ? -1 : 1))
          .slice(0, limit)
          .map(([chain, seq]) => ({ chain, seq }))
      ),

    advance: (name, epoch, positions, begun = false) =>
      Effect.sync(() => {
        const reader = readerOf(name)
        if (reader.epoch !== epoch) return false
        for (const { chain, seq } of positions) {
          reader.cursors.set(chain, Math.max(seq, reader.cursors.get(chain) ?? 0))
        }
        reader.begun ||= begun
        return true
      })
  })
})

export const layer = Layer.effect(ReaderStore, make)
