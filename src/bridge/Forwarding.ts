import { Clock, Effect, Queue } from "effect"
import type { AuditRecord } from "../schema/AuditRecord.ts"
import { maxBatch } from "../schema/BridgeWire.ts"
import { Audit } from "../services/Audit.ts"
import { batched } from "./Batches.ts"
import type { Counters } from "./Counters.ts"
import type { Latch } from "./Latch.ts"
import type { Sender } from "./Sender.ts"
import type { Answer } from "./Transport.ts"

/**
 * Copies of what this process has committed to its log, through a bounded queue to the platform: what does not get through is
 * counted and forgotten (BRG-05, BRG-06, BRG-12). Whoever logs pays for one insertion into the queue.
 */
export const make = Effect.fnUntraced(function* (size: number, sender: Sender, latch: Latch, counters: Counters) {
  const audit = yield* Audit
  const queue = yield* Effect.acquireRelease(Queue.sliding<AuditRecord>(size), Queue.shutdown)
  let taken = 0
  let warnedMs = Number.NEGATIVE_INFINITY
  let complainedMs = Number.NEGATIVE_INFINITY
  let failures = 0

  const count = () => {
    counters.queueDepth = Queue.sizeUnsafe(queue)
    counters.droppedOverflow = counters.enqueued - taken - counters.queueDepth
  }

  const warn = Effect.gen(function* () {
    const nowMs = yield* Clock.currentTimeMillis
    if (nowMs - warnedMs < warnEveryMs) return
    warnedMs = nowMs
    count()
    yield* Effect.logWarning("platform.bridge_queue_full", { size, dropped: counters.droppedOverflow })
  })

  // Records are frozen and the log's own: what the queue holds is no second copy. Redaction is for whoever takes them out, since
  // it takes longer than a caller may be kept; nothing is made of a record before it.
  const enqueue = (record: AuditRecord) =>
    Effect.suspend(() => {
      counters.enqueued++
      const full = Queue.sizeUnsafe(queue) >= size
      Queue.offerUnsafe(queue, record)
      return full ? warn : Effect.void
    })

  const complain = Effect.fnUntraced(function* (answers: ReadonlyArray<Answer>) {
    const worst = answers.find(({ _tag }) => _tag === "Rejected" || _tag === "Refused")
    const nowMs = yield* Clock.currentTimeMillis
    if (worst === undefined || nowMs - complainedMs < warnEveryMs) return
    complainedMs = nowMs
    const { dropped4xx, droppedRefused } = counters
    if (worst._tag === "Rejected") {
      yield* Effect.logWarning("platform.bridge_rejected", { status: worst.status, dropped: dropped4xx })
    } else if (worst._tag === "Refused") {
      yield* Effect.logWarning("platform.bridge_refused", { problem: worst.problem, dropped: droppedRefused })
    }
  })

  const tally = Effect.fnUntraced(function* (answers: ReadonlyArray<Answer>) {
    for (const { _tag } of answers) counters[counterOf[_tag]]++
    counters.inFlight -= answers.length
    yield* complain(answers)
    failures = answers.some(({ _tag }) => _tag === "Failed") ? failures + 1 : 0
    if (failures >= failuresBeforeHold) yield* Effect.sleep(hold)
  })

  const round = Effect.gen(function* () {
    const records = yield* Queue.takeBetween(queue, 1, maxBatch)
    taken += records.length
    counters.inFlight += records.length
    if (yield* latch.isSet) {
      yield* tally(records.map(() => ({ _tag: "Disabled" })))
      return
    }
    for (const batch of yield* batched(records, (record) => record)) {
      yield* Effect.flatMap(sender(batch.map(({ copy }) => copy)), tally)
    }
  })

  yield* audit.subscribe(enqueue)
  // A defect of ours costs one batch, never the bridge and never the host.
  const survive = Effect.catchDefect(round, (defect) => Effect.logDebug("platform.bridge_defect", defect))
  yield* Effect.forkScoped(Effect.forever(survive))
  return { count: Effect.sync(count) }
})

const counterOf = {
  Taken: "sent",
  Disabled: "droppedDisabled",
  TooMany: "dropped429",
  OutOfOrder: "droppedSeqConflict",
  Rejected: "dropped4xx",
  Failed: "dropped5xx",
  Refused: "droppedRefused"
} as const satisfies Record<Answer["_tag"], keyof Counters>

const warnEveryMs = 30_000
/** B-18: whoever has failed five times in a row is left alone for a minute. */
const failuresBeforeHold = 5
const hold = "1 minute"
