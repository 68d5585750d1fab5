import type { PgConnection, PgPool } from "@effect/sql-pg"
import { Effect, Random } from "effect"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { genesis, headOf, type RowKeys, seal } from "../../schema/Chain.ts"
import type { ChainHead } from "../../schema/Envelope.ts"
import type { ChainId } from "../../schema/Ids.ts"
import { type AuditJob, byChain } from "./AuditJob.ts"
import * as Sql from "./AuditStatements.ts"
import { texts, uuids } from "./PgArrays.ts"
import { isTransient, isUniqueViolation, isUnknownOutcome, toStoreError, undie } from "./SqlFailure.ts"
import { rowOf } from "./StoredRow.ts"

export interface FlushOptions {
  readonly pool: PgPool.PgPool
  readonly prefix: string
  readonly keys: () => RowKeys
  /** For one attempt. */
  readonly deadlineMs: number
  /** After this a job is given up at the next transient failure. */
  readonly patienceMs: number
  readonly nowMs: () => number
  /** Puts jobs back at the front of the queue, in order. */
  readonly requeue: (jobs: ReadonlyArray<AuditJob>) => void
}

export interface FlushStats {
  batches: number
  rows: number
  lostSwaps: number
  retries: number
}

/** A chain that lost a swap takes the row lock for its next batches, or a faster process would starve it. */
const contendedBatches = 64
const cachedHeads = 20_000

/**
 * Writes one batch and tells each job how it ended. Callers resume only after the commit. The heads it remembers are a
 * cache: a stale one loses its swap, nothing worse.
 */
export const make = (options: FlushOptions) => {
  const statements = Sql.make(options.prefix)
  const heads = new Map<ChainId, ChainHead>()
  const contended = new Map<ChainId, number>()
  const stats: FlushStats = { batches: 0, rows: 0, lostSwaps: 0, retries: 0 }

  const remember = (chains: ReadonlyArray<ChainId>, rows: ReadonlyArray<ReadonlyArray<unknown>>) => {
    if (heads.size > cachedHeads) heads.clear()
    for (const chain of chains) heads.set(chain, genesis)
    for (const row of rows) {
      const head = Sql.headOfValues(row)
      if (head.seq > 0) heads.set(head.chain, { seq: head.seq, hash: head.hash, atMs: head.atMs })
    }
  }

  const sealed = (groups: ReadonlyMap<ChainId, ReadonlyArray<AuditJob>>): ReadonlyArray<Sql.ChainBatch> => {
    const keys = options.keys()
    return Array.from(groups, ([chain, jobs]) => {
      const from = heads.get(chain) ?? genesis
      let head = from
      const rows = jobs.map((job) => {
        const row = seal(job.draft, head, keys)
        job.row = row
        head = headOf(row)
        return row
      })
      return { chain, from, to: head, rows }
    })
  }

  const append = (connection: PgConnection.PgConnection, batches: ReadonlyArray<Sql.ChainBatch>) =>
    Effect.map(connection.queryValues(statements.append, Sql.appendParameters(batches)), ([row]) => {
      const won = row?.[0]
      return new Set<unknown>(Array.isArray(won) ? won : [])
    })

  /** After the commit: resumes the winners, requeues the losers and marks their chains contended. */
  const settle = (groups: ReadonlyMap<ChainId, ReadonlyArray<AuditJob>>, won: ReadonlySet<unknown>) => {
    const lost: Array<AuditJob> = []
    stats.batches++
    for (const [chain, jobs] of groups) {
      if (!won.has(chain)) {
        stats.lostSwaps++
        heads.delete(chain)
        contended.set(chain, contendedBatches)
        lost.push(...jobs)
        continue
      }
      for (const job of jobs) {
        if (job.row === undefined) continue
        stats.rows++
        heads.set(chain, headOf(job.row))
        job.resume(Effect.succeed({ _tag: "Stored", row: job.row }))
      }
    }
    if (lost.length > 0) options.requeue(lost)
  }

  /** Resolves the jobs whose ids are in their chains already; the others are returned. */
  const withoutKnown = (connection: PgConnection.PgConnection, jobs: ReadonlyArray<AuditJob>) => {
    const unsure = jobs.filter((job) => job.unsure)
    if (unsure.length === 0) return Effect.succeed(jobs)
    const parameters = [texts(unsure.map((job) => job.draft.chain)), uuids(unsure.map((job) => job.draft.id))]
    return Effect.map(connection.queryValues(statements.known, parameters), (found) => {
      const rows = new Map(found.map(rowOf).map((row) => [`${row.id}${row.chain}`, row]))
      return jobs.filter((job) => {
        const row = job.unsure ? rows.get(`${job.draft.id}${job.draft.chain}`) : undefined
        if (row === undefined) return true
        const ours = job.sent.some((hash) => Buffer.compare(hash, row.hash) === 0)
        job.resume(Effect.succeed({ _tag: ours ? "Stored" : "IdTaken", row }))
        return false
      })
    })
  }

  const optimistic = (jobs: ReadonlyArray<AuditJob>) =>
    options.pool.use((connection) =>
      Effect.gen(function* () {
        const chains = Array.from(new Set(jobs.map((job) => job.draft.chain)))
        const missing = chains.filter((chain) => !heads.has(chain))
        if (missing.length > 0) {
          remember(missing, yield* connection.queryValues(statements.heads, [texts(missing)]))
        }
        // Looked up after the heads were read: an older attempt that still commits from here on makes our swap fail.
        const left = yield* withoutKnown(connection, jobs)
        if (left.length === 0) return
        const groups = byChain(left)
        settle(groups, yield* append(connection, sealed(groups)))
      })
    )

  const locked = (jobs: ReadonlyArray<AuditJob>) =>
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* options.pool.reserve
        const groups = byChain(jobs)
        const chains = Array.from(groups.keys())
        yield* connection.query("BEGIN ISOLATION LEVEL READ COMMITTED")
        const won = yield* Effect.gen(function* () {
          remember(chains, yield* connection.queryValues(statements.lockHeads, [chains[0], texts(chains)]))
          const swapped = yield* append(connection, sealed(groups))
          return (yield* connection.query("COMMIT")).command === "COMMIT" ? swapped : new Set()
        }).pipe(Effect.onError(() => Effect.ignore(connection.query("ROLLBACK"))))
        for (const chain of chains) {
          const left = (contended.get(chain) ?? 1) - 1
          if (left <= 0) contended.delete(chain)
          else contended.set(chain, left)
        }
        settle(groups, won)
      })
    )

  const attempt = (
    jobs: ReadonlyArray<AuditJob>,
    run: (jobs: ReadonlyArray<AuditJob>) => Effect.Effect<void, SqlError>
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      for (const job of jobs) job.row = undefined
      return undie(run(jobs))
    }).pipe(
      Effect.timeoutOrElse({ duration: options.deadlineMs, orElse: () => Effect.fail(noAnswer()) }),
      Effect.catch((error) => Effect.suspend(() => failed(jobs, run, error)))
    )

  const failed = (
    jobs: ReadonlyArray<AuditJob>,
    run: (jobs: ReadonlyArray<AuditJob>) => Effect.Effect<void, SqlError>,
    error: SqlError
  ): Effect.Effect<void> => {
    for (const job of jobs) {
      heads.delete(job.draft.chain)
      if (job.row !== undefined && isUnknownOutcome(error)) {
        job.unsure = true
        job.sent.push(job.row.hash)
      }
    }
    if (isTransient(error)) return later(jobs, error)
    if (isUniqueViolation(error, "governance_audit_events_once") && jobs.some((job) => !job.unsure)) {
      for (const job of jobs) job.unsure = true
      return attempt(jobs, optimistic)
    }
    const half = jobs.length >> 1
    // One of them is refused for good: halving finds it and stores the others.
    if (half > 0) return Effect.andThen(attempt(jobs.slice(0, half), run), attempt(jobs.slice(half), run))
    for (const job of jobs) job.resume(Effect.fail(toStoreError("AuditStore", "append")(error)))
    return Effect.void
  }

  const later = (jobs: ReadonlyArray<AuditJob>, error: SqlError): Effect.Effect<void> => {
    stats.retries++
    const now = options.nowMs()
    const again = jobs.filter((job) => {
      job.tries++
      if (now - job.sinceMs < options.patienceMs) return true
      job.resume(Effect.fail(toStoreError("AuditStore", "append")(error)))
      return false
    })
    options.requeue(again)
    const pause = Math.min(1000, 10 * 2 ** Math.min(10, jobs[0]?.tries ?? 1))
    return Effect.flatMap(Random.next, (share) => Effect.sleep(pause * (0.5 + share / 2)))
  }

  return {
    stats,
    /** Contended and other chains never share a transaction: mixing them could deadlock. */
    flush: (batch: ReadonlyArray<AuditJob>): Effect.Effect<void> =>
      Effect.suspend(() => {
        const hot = batch.filter((job) => !job.unsure && contended.has(job.draft.chain))
        const cold = hot.length === 0 ? batch : batch.filter((job) => !hot.includes(job))
        const first = hot.length === 0 ? Effect.void : attempt(hot, locked)
        return cold.length === 0 ? first : Effect.andThen(first, attempt(cold, optimistic))
      })
  }
}

const noAnswer = () =>
  new SqlError({
    reason: new ConnectionError({
      message: "no answer before the deadline",
      operation: "append",
      cause: new Error("deadline")
    })
  })
