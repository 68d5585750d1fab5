/** Seals, prunes and holds over the log in this process's memory. */
import { Clock, Effect, Layer, Stream } from "effect"
import { Hex } from "effect/encoding"
import type { ChainRow } from "../../schema/Envelope.ts"
import { type ChainId, operatorChain } from "../../schema/Ids.ts"
import type { LegalHold } from "../../schema/LegalHold.ts"
import { AuditStore } from "../../services/AuditStore.ts"
import { type AgedRows, type PruneResult, RetentionStore, type SealedSegment } from "../../services/RetentionStore.ts"
import { SubjectKeyStore } from "../../services/SubjectKeyStore.ts"
import { MemoryAudit } from "./AuditStore.ts"
import { CurrentJournal } from "./StoreTransaction.ts"

export const make = Effect.gen(function* () {
  const log = yield* AuditStore
  const memory = yield* MemoryAudit
  const subjects = yield* SubjectKeyStore
  const holds = new Map<string, LegalHold>()
  const segments = new Map<ChainId, Array<{ readonly sealed: SealedSegment; pruned: boolean }>>()

  const rowsOf = (chain: ChainId, fromSeq?: number, toSeq?: number) =>
    Stream.runCollect(log.rows(chain, { fromSeq, toSeq }))

  /** Does it now, and takes it back if the transaction fails. */
  const change = (doIt: () => void, undo: () => void) =>
    Effect.map(CurrentJournal, (journal) => {
      doIt()
      journal?.onEnd.push((committed) => (committed ? undefined : undo()))
    })

  const standsOn = Effect.fnUntraced(function* (hold: LegalHold, rows: ReadonlyArray<ChainRow>) {
    switch (hold.scope) {
      case "chain":
        return rows.some((row) => row.chain === hold.name)
      case "agent":
        return rows.some((row) => row.agent === hold.name)
      case "session":
        return rows.some((row) => row.session === hold.name)
      case "subject":
        return sealsWith(rows, yield* subjects.idsOf(hold.name))
    }
  })

  const holdsOnRows = Effect.fnUntraced(function* ({ chain, fromSeq, toSeq }: AgedRows) {
    const rows = yield* rowsOf(chain, fromSeq, toSeq)
    return yield* Effect.filter(sorted(holds), (hold) => standsOn(hold, rows))
  })

  const prune = Effect.fnUntraced(function* (segment: SealedSegment, minAgeMs: number) {
    const nowMs = yield* Clock.currentTimeMillis
    const found = segments.get(segment.chain)?.find((one) => one.sealed.seal === segment.seal && !one.pruned)
    const rows = yield* rowsOf(segment.chain, undefined, segment.toSeq)
    const [first] = rows
    const last = rows.at(-1)
    if (
      found === undefined ||
      first?.seq !== segment.fromSeq ||
      last?.seq !== segment.toSeq ||
      Hex.encode(last.hash) !== found.sealed.lastHash
    ) {
      return { _tag: "Mismatch" } satisfies PruneResult
    }
    if ((yield* holdsOnRows(segment)).length > 0) return { _tag: "Held" } satisfies PruneResult
    if (last.atMs > nowMs - minAgeMs) return { _tag: "TooYoung" } satisfies PruneResult
    const journal = yield* CurrentJournal
    const done = () => {
      found.pruned = true
      memory.drop(segment.chain, segment.toSeq)
    }
    // Nothing is dropped by a transaction that is rolled back.
    if (journal === null) done()
    else journal.onEnd.push((committed) => (committed ? done() : undefined))
    return { _tag: "Pruned", rows: rows.length } satisfies PruneResult
  })

  return RetentionStore.of({
    aged: Effect.fnUntraced(function* (beforeMs, after, limit) {
      const aged: Array<AgedRows> = []
      for (const { chain } of yield* log.heads(after, Number.MAX_SAFE_INTEGER)) {
        if (chain === operatorChain || aged.length === limit) continue
        const rows = yield* rowsOf(chain)
        const young = rows.findIndex((row) => row.atMs >= beforeMs)
        const old = young < 0 ? rows : rows.slice(0, young)
        if (old.length > 0) aged.push({ chain, fromSeq: old[0]!.seq, toSeq: old[old.length - 1]!.seq })
      }
      return aged
    }),
    unpruned: (chain) => Effect.sync(() => segments.get(chain)?.find(({ pruned }) => !pruned)?.sealed ?? null),
    seal: Effect.fnUntraced(function* (sealed) {
      const before = segments.get(sealed.chain) ?? []
      if (sealed.fromSeq !== (before.at(-1)?.sealed.toSeq ?? 0) + 1) return "Behind"
      yield* change(
        () => segments.set(sealed.chain, [...before, { sealed, pruned: false }]),
        () => segments.set(sealed.chain, before)
      )
      return "Sealed"
    }),
    prune,
    holds: Effect.sync(() => sorted(holds)),
    holdsOnRows,
    holdsOnSubject: Effect.fnUntraced(function* (subject) {
      const ids = yield* subjects.idsOf(subject)
      return yield* Effect.filter(sorted(holds), (hold) => {
        if (hold.scope === "subject") return Effect.succeed(hold.name === subject)
        return Effect.gen(function* () {
          for (const { chain } of yield* log.heads(null, Number.MAX_SAFE_INTEGER)) {
            const rows = (yield* rowsOf(chain)).filter((row) => sealsWith([row], ids))
            if (yield* standsOn(hold, rows)) return true
          }
          return false
        })
      })
    }),
    setHold: Effect.fnUntraced(function* (wanted) {
      const key = keyOf(wanted.scope, wanted.name)
      if (holds.has(key)) return false
      const setAtMs = yield* Clock.currentTimeMillis
      yield* change(
        () => holds.set(key, { ...wanted, setAtMs }),
        () => holds.delete(key)
      )
      return true
    }),
    releaseHold: Effect.fnUntraced(function* (scope, name) {
      const key = keyOf(scope, name)
      const hold = holds.get(key)
      if (hold === undefined) return "None"
      yield* change(
        () => holds.delete(key),
        () => holds.set(key, hold)
      )
      return "Released"
    })
  })
})

export const layer = Layer.effect(RetentionStore, make)

const keyOf = (scope: string, name: string) => `${scope}\n${name}`

const sorted = (holds: ReadonlyMap<string, LegalHold>): ReadonlyArray<LegalHold> =>
  [...holds.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, hold]) => hold)

/** A sealed value names its key in the canonical text, where nothing of a caller's can look like it but by choice. */
const sealsWith = (rows: ReadonlyArray<ChainRow>, ids: ReadonlyArray<string>) =>
  rows.some((row) => ids.some((id) => row.canonical.includes(`"key":"${id}"`)))
