import { Duration, Effect, Fiber, Latch, type Scope } from "effect"

export interface OutboxOptions<A> {
  /** What waits at most; the oldest goes when there is no room. */
  readonly capacity: number
  readonly batchSize: number
  /** How long the first of a batch waits for others. */
  readonly interval: Duration.Duration
  /** How long the end of the scope waits for what is left. */
  readonly patience: Duration.Duration
  /** Never fails; answers how long to wait before the next batch. */
  readonly deliver: (batch: ReadonlyArray<A>) => Effect.Effect<Duration.Duration>
  /** What is left to say when no more will come. */
  readonly last: () => ReadonlyArray<A>
}

export interface Outbox<A> {
  /** Never waits and never fails (`obs`). */
  readonly push: (item: A) => void
  readonly dropped: () => number
}

/** Bounded room between those who must not wait and a receiver that may be slow or dead. */
export const make = <A>(options: OutboxOptions<A>): Effect.Effect<Outbox<A>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const waiting: Array<A> = []
    const filled = Latch.makeUnsafe()
    const closing = Latch.makeUnsafe()
    let closed = false
    let dropped = 0

    const push = (item: A) => {
      waiting.push(item)
      if (waiting.length > options.capacity) {
        waiting.shift()
        dropped++
      }
      filled.openUnsafe()
    }

    const round = Effect.gen(function* () {
      yield* filled.await
      if (!closed && waiting.length < options.batchSize) yield* pause(options.interval)
      const batch = waiting.splice(0, options.batchSize)
      if (waiting.length === 0 && !closed) filled.closeUnsafe()
      if (batch.length > 0) yield* pause(yield* options.deliver(batch))
    })
    /** Ends at once when the scope closes. */
    const pause = (duration: Duration.Duration) =>
      Duration.isZero(duration) ? Effect.void : Effect.raceFirst(Effect.sleep(duration), closing.await)

    const worker = yield* Effect.forkScoped(Effect.repeat(round, { while: () => !closed || waiting.length > 0 }))
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        waiting.push(...options.last())
        closed = true
        closing.openUnsafe()
        filled.openUnsafe()
        return Fiber.await(worker)
      }).pipe(Effect.interruptible, Effect.timeoutOption(options.patience), Effect.asVoid)
    )
    return { push, dropped: () => dropped }
  })
