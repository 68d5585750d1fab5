import { Effect, Layer, Stream } from "effect"
import * as MemoryAuditStore from "../../src/layers/memory/AuditStore.ts"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import type { ChainHead, ChainRow } from "../../src/schema/Envelope.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import * as Audit from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"

/** The real service over the real memory stores. */
export const stores = Layer.mergeAll(MemoryAuditStore.layer, StoreTransaction.layer).pipe(
  Layer.provideMerge(ChainKeys.layerTest)
)

export const rig = (options: Audit.AuditOptions = {}) =>
  Audit.layerWith(options).pipe(Layer.provideMerge(AuditFallback.layerMemory), Layer.provideMerge(stores))

/** What somebody with full power over the database does to it, between the store and its readers. */
export interface Tampering {
  readonly row?: (row: ChainRow) => ChainRow | null
  readonly head?: (head: ChainHead) => ChainHead
}

export const tampered = (tampering: Tampering) =>
  Effect.gen(function* () {
    const store = yield* AuditStore
    const change = (row: ChainRow) => (tampering.row === undefined ? row : tampering.row(row))
    const changeHead = tampering.head ?? ((head: ChainHead) => head)
    const kept = (rows: ReadonlyArray<ChainRow>) => rows.map(change).filter((row) => row !== null)
    return AuditStore.of({
      ...store,
      rows: (chain, range) => Stream.filter(Stream.map(store.rows(chain, range), change), (row) => row !== null),
      find: (query) => Effect.map(store.find(query), kept),
      byId: (id, chain) => Effect.map(store.byId(id, chain), kept),
      head: (chain) => Effect.map(store.head(chain), changeHead),
      heads: (after, limit) =>
        Effect.map(store.heads(after, limit), (heads) =>
          heads.map((head) => ({ chain: head.chain, ...changeHead(head) }))
        )
    })
  })

/** Runs `self` with an Audit service that reads the same log after it was tampered with. */
export const readingTampered = (tampering: Tampering, options: Audit.AuditOptions = {}) =>
  Effect.provide(
    Audit.layerWith(options).pipe(
      Layer.provide(AuditFallback.layerMemory),
      Layer.provideMerge(Layer.effect(AuditStore, tampered(tampering)))
    ),
    { local: true }
  )

/** A store that can be cut off: `down` refuses at once, `hanging` never answers, `deaf` commits without saying so. */
export interface Line {
  state: "up" | "down" | "hanging" | "deaf"
  appends: number
}

export const layerLine = (line: Line) =>
  Layer.effect(
    AuditStore,
    Effect.gen(function* () {
      const { appendSync: _, ...store } = yield* AuditStore
      const unreachable = new StoreError({ store: "AuditStore", operation: "append", problem: "unreachable" })
      return AuditStore.of({
        ...store,
        append: (draft) =>
          Effect.suspend(() => {
            line.appends++
            if (line.state === "down") return Effect.fail(unreachable)
            if (line.state === "hanging") return Effect.never
            return line.state === "deaf" ? Effect.andThen(store.append(draft), Effect.never) : store.append(draft)
          })
      })
    })
  ).pipe(Layer.provideMerge(stores))
