import { Clock, Duration, Effect, Latch, Schedule } from "effect"
import { SecureRandom } from "effect/crypto"
import { delayed, isSameEvent } from "../schema/AuditReading.ts"
import type { AuditDraft } from "../schema/Envelope.ts"
import { EventId } from "../schema/Ids.ts"
import type { JsonObject } from "../schema/Json.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import { StoreError } from "../schema/StoreError.ts"
import { AuditFallback, type FallbackBreak } from "./AuditFallback.ts"
import { type AppendResult, AuditStore } from "./AuditStore.ts"

/** What became of an event that was to be logged. */
export type Delivery =
  | AppendResult
  | { readonly _tag: "Spooled"; readonly draft: AuditDraft }
  | { readonly _tag: "Lost"; readonly draft: AuditDraft }

/**
 * Brings drafts into the store within a deadline, or into the fallback, and empties the fallback when the store answers
 * again. After the first miss nobody waits for the store until a probe has succeeded (DEC-06, AUD-16).
 */
export const make = Effect.fnUntraced(function* (options: { readonly deadline: Duration.Duration }) {
  const store = yield* AuditStore
  const fallback = yield* AuditFallback
  const random = yield* SecureRandom.SecureRandom
  const bounded = yield* makeDeadline(Duration.toMillis(options.deadline))
  const work = Latch.makeUnsafe()
  const counts = { appended: 0, spooled: 0, replayed: 0, placeholders: 0 }
  let degraded = false
  let spooledSince = 0
  let lostSince = 0

  const append = (draft: AuditDraft) => bounded(store.append(draft))

  /** `append` without a fiber where the store can. */
  const appendNow = (draft: AuditDraft): Effect.Effect<AppendResult, StoreError> => {
    const { appendSync } = store
    if (appendSync === undefined) return append(draft)
    return Effect.clockWith((clock) => {
      const result = appendSync(draft, clock.currentTimeMillisUnsafe())
      if (result === null) return append(draft)
      return result._tag === "StoreError" ? Effect.fail(result) : Effect.succeed(result)
    })
  }

  const spool = Effect.fnUntraced(function* (original: AuditDraft) {
    const draft = delayed(original)
    const kept = yield* fallback.spool(draft)
    if (kept) {
      counts.spooled++
      spooledSince++
    } else {
      counts.placeholders++
      lostSince++
    }
    work.openUnsafe()
    return { _tag: kept ? "Spooled" : "Lost", draft } satisfies Delivery
  }, Effect.uninterruptible)

  const missed = (error: StoreError) =>
    Effect.suspend(() => {
      if (degraded) return Effect.void
      degraded = true
      return Effect.logWarning("audit.primary_write_failed_degraded").pipe(
        Effect.annotateLogs({ problem: error.problem, buffered: spooledSince })
      )
    })

  const deliver = (draft: AuditDraft): Effect.Effect<Delivery> =>
    Effect.suspend(() =>
      degraded
        ? spool(draft)
        : Effect.matchEffect(
            // A caller who leaves takes its event not along: what the store does with it is unknown, so it is spooled as well.
            Effect.onInterrupt(appendNow(draft), () => spool(draft)),
            {
              onFailure: (error) => Effect.flatMap(missed(error), () => spool(draft)),
              onSuccess: (result): Effect.Effect<Delivery> => {
                if (result._tag === "Stored") counts.appended++
                return Effect.succeed(result)
              }
            }
          )
    )

  /** `deliver` without a fiber; false, and nothing done, when the store is not at hand. */
  const deliverNow = (draft: AuditDraft, nowMs: number): boolean => {
    const result = degraded ? null : (store.appendSync?.(draft, nowMs) ?? null)
    if (result === null || result._tag === "StoreError") return false
    if (result._tag === "Stored") counts.appended++
    return true
  }

  /** An event of the log about itself, in chain `operator`. */
  const ownDraft = Effect.fnUntraced(function* (kind: string, metadata: JsonObject) {
    return operatorDraft(EventId.make(yield* random.uuidV7()), yield* Clock.currentTimeMillis, kind, metadata)
  })

  const replayOne = Effect.fnUntraced(function* (draft: AuditDraft) {
    const result = yield* append(draft)
    if (result._tag === "Stored") counts.replayed++
    else if (!isSameEvent(result.row, draft)) {
      yield* append(
        yield* ownDraft("audit.event_refused", {
          eventId: draft.id,
          chain: draft.chain,
          field: "id",
          problem: "belongs to another event"
        })
      )
    }
  })

  const report = Effect.fnUntraced(function* (found: FallbackBreak) {
    yield* append(yield* ownDraft("audit.fallback_broken", { ...found }))
  })

  const confessLosses = Effect.suspend(() => {
    const lost = lostSince
    return lost === 0
      ? Effect.void
      : ownDraft("audit.events_dropped", { count: lost }).pipe(
          Effect.flatMap(append),
          Effect.tap(
            Effect.sync(() => {
              lostSince -= lost
            })
          )
        )
  })

  /** Fails while the store does not answer; then it is tried again, later and later. */
  const recover = Effect.gen(function* () {
    const { replayed, broken } = yield* fallback.replay({ append: replayOne, broken: report })
    yield* confessLosses
    const was = degraded
    degraded = false
    spooledSince = 0
    if (was || replayed > 0 || broken > 0) {
      yield* Effect.logInfo("audit.primary_recovered").pipe(Effect.annotateLogs({ flushed: replayed, broken }))
    }
  })

  const recoverWhole = Effect.gen(function* () {
    yield* work.await
    work.closeUnsafe()
    yield* Effect.retry(recover, backoff)
    // What was spooled while the last of it was handed over.
    if ((yield* fallback.stats).waiting > 0) work.openUnsafe()
  })

  // What an earlier process left behind is replayed at start, without holding up the start.
  work.openUnsafe()
  yield* Effect.forkScoped(Effect.forever(recoverWhole))

  return {
    store,
    append,
    appendNow,
    deliver,
    deliverNow,
    counts,
    ownDraft,
    waiting: Effect.map(fallback.stats, (_) => _.waiting)
  }
})

/** Who writes what no agent wrote. */

const backoff = Schedule.exponential("100 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(5))))
)

interface Waiting {
  readonly untilMs: number
  readonly expire: () => void
  done: boolean
}

/**
 * Bounds what a caller waits, not what the work takes: the work goes on by itself, because an interrupted write on a dead
 * connection only returns when the driver gives up. One fiber watches all deadlines: a timer for each event would cost more
 * than the event.
 */
const makeDeadline = Effect.fnUntraced(function* (deadlineMs: number) {
  const begun = Latch.makeUnsafe()
  let queue: Array<Waiting> = []
  let first = 0

  const watch = Effect.gen(function* () {
    if (first >= queue.length) {
      queue = []
      first = 0
      begun.closeUnsafe()
      yield* begun.await
    }
    const now = yield* Clock.currentTimeMillis
    while (first < queue.length && (queue[first]!.done || queue[first]!.untilMs <= now)) queue[first++]!.expire()
    const next = queue[first]
    if (next !== undefined) yield* Effect.sleep(next.untilMs - now)
  })
  yield* Effect.forkScoped(Effect.forever(watch))

  return <A>(work: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
    Effect.flatMap(Effect.forkDetach(work, { startImmediately: true }), (fiber) => {
      const already = fiber.pollUnsafe()
      if (already !== undefined) return already
      return Effect.clockWith((clock) =>
        Effect.callback<A, StoreError>((resume) => {
          const waiting: Waiting = {
            untilMs: clock.currentTimeMillisUnsafe() + deadlineMs,
            done: false,
            expire: () => {
              if (!waiting.done) resume(Effect.fail(tooLate()))
              waiting.done = true
            }
          }
          fiber.addObserver((exit) => {
            waiting.done = true
            resume(exit)
          })
          queue.push(waiting)
          begun.openUnsafe()
        })
      )
    })
})

const tooLate = () => new StoreError({ store: "AuditStore", operation: "append", problem: "deadline" })
