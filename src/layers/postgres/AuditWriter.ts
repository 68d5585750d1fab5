import type { PgPool } from "@effect/sql-pg"
import { Clock, Effect } from "effect"
import type { RowKeys } from "../../schema/Chain.ts"
import type { AuditDraft } from "../../schema/Envelope.ts"
import { StoreError } from "../../schema/StoreError.ts"
import type { AppendResult } from "../../services/AuditStore.ts"
import * as AuditFlush from "./AuditFlush.ts"
import { type AuditJob, refuse } from "./AuditJob.ts"

export interface AuditWriterOptions {
  /** Exactly one connection, used by nobody else; it must outlive the writer's scope. */
  readonly pool: PgPool.PgPool
  readonly prefix: string
  /** Read at each batch, so that a rotated key is used from then on. */
  readonly keys: () => RowKeys
  /** Rows in one statement. Default 500. */
  readonly maxBatch?: number
  /** Events that may wait; one more fails with `overload`. Default 50,000. */
  readonly maxPending?: number
  /** For one attempt. Default 5 s. */
  readonly deadlineMs?: number
  /** How long an event is tried again after transient failures. Default 15 s. */
  readonly patienceMs?: number
}

/**
 * Group commit with compare-and-swap on the chain heads: whatever waits while a statement is under way goes into the next
 * one. One flusher fiber, one connection. Interrupting a caller does not withdraw its event; closing the scope refuses new
 * events and writes the waiting ones for up to 5 s.
 */
export const make = Effect.fnUntraced(function* (options: AuditWriterOptions) {
  const maxBatch = options.maxBatch ?? 500
  const maxPending = options.maxPending ?? 50_000
  const clock = yield* Clock.Clock
  const nowMs = () => clock.currentTimeMillisUnsafe()
  let pending: Array<AuditJob> = []
  let wake: (() => void) | undefined
  let closed = false
  let busy = false

  const flusher = AuditFlush.make({
    pool: options.pool,
    prefix: options.prefix,
    keys: options.keys,
    deadlineMs: options.deadlineMs ?? 5000,
    patienceMs: options.patienceMs ?? 15_000,
    nowMs,
    requeue: (jobs) => {
      pending = jobs.concat(pending)
    }
  })

  /** The next batch; an id that is in it already waits for the one after, where it is found stored. */
  const take = (): ReadonlyArray<AuditJob> => {
    const batch: Array<AuditJob> = []
    const twice: Array<AuditJob> = []
    const ids = new Set<string>()
    for (const job of pending.splice(0, maxBatch)) {
      const id = `${job.draft.id}${job.draft.chain}`
      if (ids.has(id)) {
        job.unsure = true
        twice.push(job)
      } else {
        ids.add(id)
        batch.push(job)
      }
    }
    if (twice.length > 0) pending = twice.concat(pending)
    return batch
  }

  const flush = Effect.suspend(() => {
    busy = true
    const batch = take()
    return Effect.onInterrupt(flusher.flush(batch), () =>
      Effect.sync(() => {
        // A second resume of a job that has its answer does nothing.
        for (const job of batch) refuse(job, "closed")
      })
    )
  })

  const idle = Effect.callback<void>((resume) => {
    busy = false
    if (pending.length > 0) return resume(Effect.void)
    wake = () => {
      wake = undefined
      // Not at once: every fiber that can run gets its event into this batch first.
      setImmediate(() => resume(Effect.void))
    }
  })

  yield* Effect.forkScoped(Effect.forever(Effect.andThen(idle, flush), { disableYield: true }))
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      closed = true
      const drained = Effect.gen(function* () {
        while (busy || pending.length > 0) yield* Effect.sleep(2)
      })
      yield* Effect.timeoutOption(drained, "5 seconds")
      for (const job of pending.splice(0)) refuse(job, "closed")
    })
  )

  const append = (draft: AuditDraft): Effect.Effect<AppendResult, StoreError> =>
    Effect.callback((resume) => {
      if (closed || pending.length >= maxPending) {
        const problem = closed ? "closed" : "overload"
        return resume(Effect.fail(new StoreError({ store: "AuditStore", operation: "append", problem })))
      }
      pending.push({ draft, resume, sinceMs: nowMs(), row: undefined, sent: [], unsure: false, tries: 0 })
      wake?.()
    })

  return { append, stats: flusher.stats }
})
