import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { AgentId } from "../../schema/Ids.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { type Job, type Lane, take } from "./AdmissionLane.ts"
import { bounded } from "./Deadline.ts"
import { isTransient, isUnknownOutcome, toStoreError } from "./SqlFailure.ts"

export interface BatcherOptions<Q, A> {
  readonly operation: string
  /** One statement for many requests of one tree; answers in the same order. MUST be idempotent by key: it may be sent again. */
  readonly send: (root: AgentId, requests: ReadonlyArray<Q>) => Effect.Effect<ReadonlyArray<A>, SqlError>
  readonly keyOf: (request: Q) => string
  /** How long a caller waits at most, its place in the queue included. Milliseconds. */
  readonly deadlineMs: number
  /** Called for a request that was sent but whose caller is gone: with the answer, or with undefined when there was none. */
  readonly onAbandoned?: ((root: AgentId, request: Q, answer: A | undefined) => void) | undefined
}

export interface Batcher<Q, A> {
  readonly submit: (root: AgentId, request: Q) => Effect.Effect<A, StoreError>
}

/** Beyond it callers are refused at once: an outage must not fill the memory. */
const maxWaiting = 50_000
const maxTries = 5

/**
 * One statement at a time for each tree, trees side by side. A lone call goes at once; what arrives while a statement of its
 * tree is under way goes together with the next one. No span and no fiber per call.
 */
export const make = Effect.fnUntraced(function* <Q, A>(options: BatcherOptions<Q, A>) {
  const { deadlineMs, keyOf, onAbandoned, operation, send } = options
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const lanes = new Map<AgentId, Lane<Q, A>>()
  let waiting = 0
  let closed = false

  const failure = (problem: StoreError["problem"], detail?: unknown) =>
    StoreError.because({ store: "AdmissionStore", operation, problem }, detail)

  const finish = (job: Job<Q, A>, outcome: Effect.Effect<A, StoreError>) => {
    if (job.done) return
    job.done = true
    waiting -= 1
    clearTimeout(job.timer)
    job.resume(outcome)
  }

  const abandoned = (root: AgentId, job: Job<Q, A>, answer: A | undefined) => onAbandoned?.(root, job.request, answer)

  const deliver = (root: AgentId, jobs: ReadonlyArray<Job<Q, A>>, answers: ReadonlyArray<A>) => {
    for (let i = 0; i < jobs.length; i++) {
      const job = jobs[i]!
      const answer = answers[i]
      if (job.done) abandoned(root, job, answer)
      else finish(job, answer === undefined ? Effect.fail(failure("integrity")) : Effect.succeed(answer))
    }
  }

  const attempt = (root: AgentId, jobs: ReadonlyArray<Job<Q, A>>, tries: number): Effect.Effect<void> => {
    const requests = jobs.map(({ request }) => request)
    // What cannot be encoded or read back must not stop the lane.
    const sending = Effect.catchDefect(
      Effect.suspend(() => send(root, requests)),
      (defect) => Effect.fail(failure("integrity", defect))
    )
    return Effect.matchEffect(
      bounded(sending, deadlineMs, () => failure("deadline")),
      {
        onSuccess: (answers) => Effect.sync(() => deliver(root, jobs, answers)),
        onFailure: (error) => {
          const reason = error._tag === "SqlError" ? toStoreError("AdmissionStore", operation)(error) : error
          if (isDefinite(error)) return definite(root, jobs, reason, tries)
          const alive = jobs.filter((job) => !job.done)
          for (const job of jobs) if (job.done) abandoned(root, job, undefined)
          if (alive.length === 0) return Effect.void
          if (tries < maxTries) return Effect.delay(attempt(root, alive, tries + 1), 10 * 2 ** tries)
          return Effect.sync(() => {
            for (const job of alive) {
              finish(job, Effect.fail(reason))
              abandoned(root, job, undefined)
            }
          })
        }
      }
    )
  }

  // One request that the database refuses must not fail its neighbours.
  const definite = (
    root: AgentId,
    jobs: ReadonlyArray<Job<Q, A>>,
    reason: StoreError,
    tries: number
  ): Effect.Effect<void> => {
    if (jobs.length > 1) {
      const half = jobs.length >> 1
      return Effect.andThen(attempt(root, jobs.slice(0, half), tries), attempt(root, jobs.slice(half), tries))
    }
    return Effect.sync(() => {
      for (const job of jobs) {
        finish(job, Effect.fail(reason))
        if (reason.problem === "integrity") abandoned(root, job, undefined)
      }
    })
  }

  const drain = (root: AgentId, lane: Lane<Q, A>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const jobs = take(lane, keyOf)
      if (jobs.length === 0) {
        lanes.delete(root)
        return Effect.void
      }
      for (const job of jobs) job.sent = true
      const done = attempt(root, jobs, 0)
      // Callers that were just answered come back with their next call first, so that one batch follows another at full size.
      const next = Effect.andThen(jobs.length > 1 || lane.queue.length > 0 ? turn : Effect.void, () =>
        drain(root, lane)
      )
      return Effect.andThen(done, next)
    })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      closed = true
      for (let waited = 0; lanes.size > 0 && waited < 5000; waited += 5) yield* Effect.promise(pause)
      for (const lane of lanes.values()) for (const job of lane.queue) finish(job, Effect.fail(failure("closed")))
    })
  )

  const submit: Batcher<Q, A>["submit"] = (root, request) =>
    Effect.callback<A, StoreError>((resume) => {
      if (closed) return resume(Effect.fail(failure("closed")))
      if (waiting >= maxWaiting) return resume(Effect.fail(failure("overload")))
      waiting += 1
      const job: Job<Q, A> = { request, resume, sent: false, done: false, timer: undefined }
      job.timer = setTimeout(() => finish(job, Effect.fail(failure("deadline"))), deadlineMs)
      const lane = lanes.get(root)
      if (lane !== undefined) lane.queue.push(job)
      else {
        const fresh: Lane<Q, A> = { queue: [job] }
        lanes.set(root, fresh)
        run(drain(root, fresh))
      }
      // What was sent stays sent: its answer goes to `onAbandoned`. What was not sent is left out.
      return Effect.sync(() => {
        if (job.done) return
        job.done = true
        waiting -= 1
        clearTimeout(job.timer)
      })
    })

  const batcher: Batcher<Q, A> = { submit }
  return batcher
})

/** Sending it again would fail again. */
const isDefinite = (error: SqlError | StoreError): boolean =>
  error._tag === "SqlError" ? !isTransient(error) && !isUnknownOutcome(error) : error.problem === "integrity"

/** Lets every fiber that can run do so. Real time, also under a test's clock. */
const turn = Effect.callback<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

const pause = () => new Promise<void>((resolve) => void setTimeout(resolve, 5))
