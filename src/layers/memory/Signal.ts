import { Effect, Layer, PubSub, Stream } from "effect"
import { Signal, type Topic } from "../../services/Signal.ts"

/** Changes within one process. Nothing is lost here, but a subscription begins with `resync` as everywhere. */
export const make = Effect.gen(function* () {
  const arrivals = yield* PubSub.sliding<{ readonly topic: Topic; readonly payload: string }>(1024)

  return Signal.of({
    publish: (topic, payload) => Effect.asVoid(PubSub.publish(arrivals, { topic, payload })),
    changes: (topic) =>
      Stream.unwrap(
        Effect.map(PubSub.subscribe(arrivals), (subscription) =>
          Stream.concat(
            Stream.succeed("resync"),
            Stream.fromSubscription(subscription).pipe(
              Stream.filter((arrival) => arrival.topic === topic),
              Stream.map((arrival) => arrival.payload)
            )
          )
        )
      )
  })
})

export const layer = Layer.effect(Signal, make)
