import type { Effect } from "effect"
import type { StoreError } from "../../schema/StoreError.ts"

/** A caller that waits. `done`: it has its answer, or has gone. */
export interface Job<Q, A> {
  readonly request: Q
  readonly resume: (outcome: Effect.Effect<A, StoreError>) => void
  sent: boolean
  done: boolean
  timer: ReturnType<typeof setTimeout> | undefined
}

/** What waits for one tree. */
export interface Lane<Q, A> {
  queue: Array<Job<Q, A>>
}

/** The next batch: callers that gave up are left out, a key that is already in it waits for the next one. */
export const take = <Q, A>(lane: Lane<Q, A>, keyOf: (request: Q) => string): ReadonlyArray<Job<Q, A>> => {
  const keys = new Set<string>()
  const jobs: Array<Job<Q, A>> = []
  const rest: Array<Job<Q, A>> = []
  for (const job of lane.queue) {
    if (job.done) continue
    const key = keyOf(job.request)
    if (jobs.length >= maxBatch || keys.has(key)) rest.push(job)
    else {
      keys.add(key)
      jobs.push(job)
    }
  }
  lane.queue = rest
  return jobs
}

const maxBatch = 256
