import { Clock, Effect, Option, Schedule, Stream } from "effect"
import { recordOf } from "../schema/AuditReading.ts"
import type { AuditRecord } from "../schema/AuditRecord.ts"
import type { ChainId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { AuditStore, ChainPosition } from "./AuditStore.ts"
import { allHeads } from "./ChainHeads.ts"

/**
 * New rows of every chain, exact by chain: there is a cursor for each, because no order across chains survives a late commit
 * . `movedSince` says where to look; comparing all heads with the cursors, at the start and every ten minutes, finds
 * what a late commit hid from it. Survives a store that does not answer for a while.
 */
export const tail =
  (store: AuditStore["Service"]) =>
  (options: { readonly sinceMs?: number } = {}): Stream.Stream<AuditRecord, StoreError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const cursors = new Map<ChainId, number>()
        let comparedMs = yield* Clock.currentTimeMillis
        let lookedMs = options.sinceMs ?? comparedMs
        for (const head of yield* allHeads(store)) cursors.set(head.chain, head.seq)
        if (options.sinceMs !== undefined) yield* rewind(store, cursors, options.sinceMs)

        const newRows = ({ chain }: ChainPosition) =>
          Stream.runCollect(rowsAfter(store, chain, cursors.get(chain) ?? 0))

        const poll = Effect.gen(function* () {
          const nowMs = yield* Clock.currentTimeMillis
          const compare = nowMs - comparedMs >= compareEveryMs
          const positions = compare ? yield* allHeads(store) : yield* store.movedSince(lookedMs)
          const moved = positions.filter(({ chain, seq }) => seq > (cursors.get(chain) ?? 0))
          const pages = yield* Effect.forEach(moved, newRows)
          for (const page of pages) {
            const last = page.at(-1)
            if (last !== undefined) cursors.set(last.chain, last.seq)
          }
          // Only now: a round that failed half-way is repeated whole. A full page means that more is waiting.
          if (!pages.some((page) => page.length === pageSize)) lookedMs = nowMs
          if (compare) comparedMs = nowMs
          return pages.flat().map(recordOf)
        }).pipe(Effect.retry({ while: isPassing, schedule: Schedule.spaced(pollEvery) }))

        return Stream.paginate(0, (round) =>
          Effect.delay(poll, round === 0 ? 0 : pollEvery).pipe(
            Effect.map((records) => [records, Option.some(round + 1)] as const)
          )
        )
      })
    )

/** A late notice costs at most this; whoever needs it sooner wakes the reader by a signal of its own. */
const pollEvery = "500 millis"
const compareEveryMs = 10 * 60_000
/** Rows of one chain in one round: a long backlog is read in parts. */
const pageSize = 1_000

// Rows may have been pruned right behind the cursor, so the page ends by its length and not by a seq.
const rowsAfter = (store: AuditStore["Service"], chain: ChainId, seq: number) =>
  Stream.take(store.rows(chain, { fromSeq: seq + 1 }), pageSize)

/** Puts the cursors before the first row of that moment; `at` never goes back within a chain. */
const rewind = Effect.fnUntraced(function* (
  store: AuditStore["Service"],
  cursors: Map<ChainId, number>,
  sinceMs: number
) {
  for (const { chain } of yield* store.movedSince(sinceMs)) {
    const [first] = yield* store.find({ chain, fromMs: sinceMs, limit: 1 })
    if (first !== undefined) cursors.set(chain, first.seq - 1)
  }
})

const isPassing = (error: StoreError) =>
  error.problem === "unreachable" || error.problem === "deadline" || error.problem === "overload"
