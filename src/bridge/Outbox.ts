import { Cause, Clock, Deferred, Effect, Queue, Schedule, Stream } from "effect"
import { recordOf } from "../schema/AuditReading.ts"
import { maxBatch, type Routes } from "../schema/BridgeWire.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import type { ChainId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AuditStore, type ChainPosition } from "../services/AuditStore.ts"
import { BridgeStateStore } from "../services/BridgeStateStore.ts"
import * as LogReader from "../services/LogReader.ts"
import { batched } from "./Batches.ts"
import type { Counters } from "./Counters.ts"
import * as Gap from "./Gap.ts"
import * as Insistence from "./Insistence.ts"
import type { Latch } from "./Latch.ts"
import * as Sender from "./Sender.ts"
import type { Transport } from "./Transport.ts"

/** What the outbox of a workflow is called among the readers of the log. */
export const readerOf = (workflow: string): string => `bridge/${workflow}`

/**
 * Sends every row of the log, of all processes, at least once and in the order of its chain, by whichever process is alive
 * (BEY-16, V8-02). Before rows are sent it is written down which and with which `seq`, so that after a crash exactly those are
 * repeated and the platform's sequence goes on (V8-01). Adds nothing to an append.
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly open: (instance: string) => Transport
  readonly routes: Routes
  readonly latch: Latch
  readonly counters: Counters
  readonly workflow: string
}) {
  const { counters, latch } = options
  const log = yield* AuditStore
  const states = yield* BridgeStateStore
  const reader = readerOf(options.workflow)
  const gap = yield* Gap.make(reader)
  // Not bounded here: the reader hands over no more than 16 pages at a time.
  const queue = yield* Effect.acquireRelease(Queue.unbounded<Waiting>(), Queue.shutdown)
  /** Rows that a process before this one had under way; the reader may show them once more. */
  const repeated = new Set<string>()
  let line: Line | null = null
  let current: ReadonlyArray<Waiting> = []

  const insist = Insistence.make(latch, reader)

  const repeat = Effect.fnUntraced(function* (sender: Sender.Sender, positions: ReadonlyArray<ChainPosition>) {
    const rows: Array<ChainRow> = []
    for (const { chain, seq } of positions) {
      rows.push(...(yield* persist(Stream.runCollect(log.rows(chain, { fromSeq: seq, toSeq: seq })))))
    }
    for (const batch of yield* batched(rows, recordOf)) {
      yield* insist(
        sender,
        () => Effect.succeed(true),
        batch,
        ({ chain, seq }, { _tag }) =>
          Effect.sync(() => {
            if (_tag === "Taken") repeated.add(`${seq} ${chain}`)
          })
      )
    }
  })

  const write = Effect.fnUntraced(function* (at: Line, inFlight: ReadonlyArray<ChainPosition>) {
    const moved = yield* persist(states.move(reader, at.revision, { nextSeq: counters.nextSeq, inFlight }))
    if (moved) at.revision++
    else line = null
    return moved
  })

  /** Where the sequence stands, after what was left of it is repeated. */
  const standing: Effect.Effect<Line> = Effect.suspend(() => {
    if (line !== null) return Effect.succeed(line)
    return Effect.gen(function* () {
      const state = yield* persist(states.open(reader, crypto.randomUUID()))
      counters.nextSeq = state.nextSeq
      const sender = Sender.make(options.open(state.instance), options.routes, counters)
      const found: Line = { revision: state.revision, sender }
      if (state.inFlight.length > 0) {
        yield* repeat(sender, state.inFlight)
        if (!(yield* write(found, []))) return yield* standing
      }
      line = found
      return found
    })
  })

  const end = (waiting: Waiting, taken: boolean) => {
    waiting.ended = true
    if (taken) counters.sent++
    else counters.skipped++
    return Deferred.succeed(waiting.done, undefined)
  }

  const deliver = Effect.fnUntraced(function* (given: ReadonlyArray<Waiting>) {
    const byRow = new Map(given.filter(({ ended }) => !ended).map((one) => [one.row, one]))
    for (;;) {
      const at = yield* standing
      for (const [row, one] of byRow) {
        if (one.ended) byRow.delete(row)
        else if (repeated.delete(`${row.seq} ${row.chain}`)) {
          byRow.delete(row)
          yield* end(one, true)
        }
      }
      if (byRow.size === 0) return
      for (const batch of yield* batched([...byRow.keys()], recordOf)) {
        const left = yield* insist(
          at.sender,
          (rows) =>
            write(
              at,
              rows.map(({ item }) => item)
            ),
          batch,
          Effect.fnUntraced(function* (row, { _tag }) {
            const one = byRow.get(row)
            byRow.delete(row)
            // None about the record of a gap: a platform that refuses everything must not fill the log.
            if (_tag !== "Taken" && row.kind !== Gap.gapKind) yield* gap.beside(row, row.seq, row.seq, "rejected")
            if (one !== undefined && !one.ended) yield* end(one, _tag === "Taken")
          })
        )
        // Another process has moved the sequence: see what it was about.
        if (left.length > 0) break
      }
    }
  })

  const round = Effect.gen(function* () {
    current = yield* Queue.takeBetween(queue, 1, maxBatch)
    yield* stubborn(deliver(current))
    current = []
    if (line !== null && Queue.sizeUnsafe(queue) === 0) yield* stubborn(write(line, []))
  })

  const skip = (rows: number) => {
    counters.skipped += rows
    counters.enqueued += rows
  }

  const handleLost = Effect.fnUntraced(function* (chain: ChainId, fromSeq: number, toSeq: number) {
    skip(toSeq - fromSeq + 1)
    yield* gap.apart(chain, fromSeq, toSeq, "pruned")
  })

  const handlePage = Effect.fnUntraced(function* (rows: ReadonlyArray<ChainRow>, after: number) {
    const [first] = rows
    if (first !== undefined && first.seq > after + 1) {
      skip(first.seq - after - 1)
      yield* gap.beside(first, after + 1, first.seq - 1, "pruned")
    }
    const oldestMs = (yield* Clock.currentTimeMillis) - maxAgeMs
    const old = rows.filter(({ atMs }) => atMs < oldestMs)
    skip(old.length)
    counters.enqueued += rows.length - old.length
    const [oldest, newest] = [old[0], old.at(-1)]
    if (oldest !== undefined && newest !== undefined) yield* gap.beside(newest, oldest.seq, newest.seq, "too_old")
    const waiting = rows
      .filter(({ atMs }) => atMs >= oldestMs)
      .map((row): Waiting => ({ row, done: Deferred.makeUnsafe(), ended: false }))
    yield* Queue.offerAll(queue, waiting)
    yield* Effect.forEach(waiting, ({ done }) => Deferred.await(done), { discard: true }).pipe(
      // Somebody else reads now, and is shown these rows.
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          for (const one of waiting.filter(({ ended }) => !ended)) {
            one.ended = true
            counters.enqueued--
          }
        })
      )
    )
  })

  yield* Effect.forkScoped(Effect.forever(round))
  yield* Effect.forkScoped(
    LogReader.drain({ reader, kinds: "all", handle: () => Effect.void, handlePage, handleLost, leaseMs: 6_000 }),
    { startImmediately: true }
  )
  const count = Effect.sync(() => {
    counters.queueDepth = Queue.sizeUnsafe(queue)
    counters.inFlight = current.filter(({ ended }) => !ended).length
  })
  return { count }
})

interface Waiting {
  readonly row: ChainRow
  readonly done: Deferred.Deferred<void>
  ended: boolean
}

/** The sequence as this process knows it. */
interface Line {
  revision: number
  readonly sender: Sender.Sender
}

/** What is older is not sent any more: nobody looks at it live, and an outage must not be caught up with for ever (B-21). */
const maxAgeMs = 30 * 24 * 3_600_000

/** The store is asked until it answers: whoever waits here is no part of the host. */
const persist = <A>(self: Effect.Effect<A, StoreError>): Effect.Effect<A> =>
  Effect.orDie(Effect.retry(self, Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")])))

/** A defect of ours ends one attempt, never the bridge. */
const stubborn = <A>(self: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.catchCause(self, (cause) =>
    Cause.hasInterrupts(cause)
      ? Effect.failCause(cause)
      : Effect.andThen(Effect.logDebug("platform.bridge_defect", cause), Effect.delay(stubborn(self), "5 seconds"))
  )
