import { type Duration, Effect, Fiber } from "effect"
import { StoreError } from "../schema/StoreError.ts"

/**
 * Bounds what a caller waits, without waiting for the work to stop: a write on a dead connection returns only when the driver
 * gives up. What is left behind is interrupted in the background and may still take effect.
 */
export const within = <A, E, R, E2>(
  self: Effect.Effect<A, E, R>,
  duration: Duration.Duration,
  onTimeout: () => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(self, { startImmediately: true }), (fiber) => {
      const done = fiber.pollUnsafe()
      if (done !== undefined) return done
      const late = Effect.flatMap(Effect.sleep(duration), () => Effect.fail(onTimeout()))
      return Effect.onExit(restore(Effect.raceFirst(Fiber.join(fiber), late)), () =>
        Effect.sync(() => fiber.interruptUnsafe())
      )
    })
  )

/** Once begun it is not left half done: who interrupts it waits for its end, that long at most. */
export const finishing = <A, E, R>(self: Effect.Effect<A, E, R>, patience: Duration.Duration): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(self, { startImmediately: true }), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () =>
        Effect.andThen(
          Effect.raceFirst(Fiber.await(fiber), Effect.sleep(patience)),
          Effect.sync(() => fiber.interruptUnsafe())
        )
      )
    )
  )

/** What is asked of one store, each question within the same time: silence is a `StoreError`. */
export const askedOf =
  (store: string, deadline: Duration.Duration) =>
  <A>(operation: string, self: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
    within(self, deadline, () => StoreError.because({ store, operation, problem: "deadline" }, undefined))
