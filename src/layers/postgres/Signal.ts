import { Clock, Effect, Exit, Layer, PubSub, Queue, Schedule, Scope, Stream } from "effect"
import { Signal, type Topic } from "../../services/Signal.ts"
import { Database } from "./Database.ts"
import { bounded } from "./Deadline.ts"

export interface SignalOptions {
  /** How often the listener sends itself a message; two without an arrival mean a dead line. Default 10 s. */
  readonly heartbeatMs?: number | undefined
}

/** First payload of every (re)subscription: what came before it may be lost, so re-read. */
export const resync = "resync"

/** Postgres truncates nothing here: a longer payload is refused at 8000 bytes, so it is sent as a resync. */
const maxPayload = 7000

/**
 * LISTEN/NOTIFY on one direct connection per process for all topics, opened with the first subscriber. A lost line is opened
 * again with back-off, a line that went silent is noticed by its own heartbeat; subscribers see a `resync` either way.
 */
export const make = Effect.fnUntraced(function* (options: SignalOptions = {}) {
  const { hot, listener, schema } = yield* Database
  const heartbeatMs = options.heartbeatMs ?? 10_000
  const clock = yield* Clock.Clock
  // One name per schema: two deployments in one database do not hear each other.
  const channel = `governance:${schema}`.slice(0, 63)
  const arrivals = yield* PubSub.sliding<{ readonly topic: string; readonly payload: string }>(1024)

  const notify = (text: string) =>
    // A statement of its own, in nobody's transaction: inside one, Citus may refuse it and lose the write.
    hot
      .use((connection) => connection.queryValues("SELECT pg_notify($1, $2)", [channel, text]))
      .pipe((query) => bounded(query, "2 seconds", () => "no answer before the deadline"), Effect.asVoid)

  const publish = (topic: Topic, payload: string) =>
    notify(`${topic}:${Buffer.byteLength(payload) > maxPayload ? resync : payload}`).pipe(
      Effect.catchCause((cause) => Effect.logDebug("A change was not signalled; readers find it by polling", cause))
    )

  const listen = Effect.gen(function* () {
    const line = yield* Scope.make()
    const subscription = yield* Scope.make()
    // The line goes first: UNLISTEN on a line that swallows bytes would wait for ever.
    return yield* Effect.ensuring(
      follow(line, subscription),
      Effect.andThen(Scope.close(line, Exit.void), Scope.close(subscription, Exit.void))
    )
  }).pipe(
    Effect.tapError((error) => Effect.logDebug("The listener lost its connection", error)),
    Effect.retry(Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")])))
  )

  const follow = (line: Scope.Scope, subscription: Scope.Scope) =>
    Effect.gen(function* () {
      const connection = yield* Scope.provide(listener, line)
      const queue = yield* Scope.provide(connection.listen(channel), subscription)
      const self = `beat:${connection.processId}`
      for (const topic of topics) yield* PubSub.publish(arrivals, { topic, payload: resync })
      let heardMs = clock.currentTimeMillisUnsafe()
      const take = Effect.forever(
        Effect.flatMap(Queue.take(queue), (notification) => {
          heardMs = clock.currentTimeMillisUnsafe()
          const at = notification.payload.indexOf(":")
          if (notification.payload === self || at < 0) return Effect.void
          return PubSub.publish(arrivals, {
            topic: notification.payload.slice(0, at),
            payload: notification.payload.slice(at + 1)
          })
        })
      )
      const watch = Effect.gen(function* () {
        for (;;) {
          yield* Effect.sleep(heartbeatMs)
          yield* Effect.ignore(notify(self))
          if (clock.currentTimeMillisUnsafe() - heardMs > 2 * heartbeatMs) return yield* Effect.fail("silent" as const)
        }
      })
      return yield* Effect.raceFirst(take, watch)
    })

  const started = yield* Effect.cached(Effect.forkIn(listen, yield* Effect.scope))

  return Signal.of({
    publish,
    changes: (topic) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const subscription = yield* PubSub.subscribe(arrivals)
          yield* started
          return Stream.concat(
            Stream.succeed(resync),
            Stream.fromSubscription(subscription).pipe(
              Stream.filter((arrival) => arrival.topic === topic),
              Stream.map((arrival) => arrival.payload)
            )
          )
        })
      )
  })
})

export const layer = Layer.effect(Signal, make())

export const layerWith = (options: SignalOptions) => Layer.effect(Signal, make(options))

const topics: ReadonlyArray<Topic> = ["halts", "gates", "policies", "subjects", "keys"]
