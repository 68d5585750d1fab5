import { Duration, Effect } from "effect"

/**
 * Bounds an effect by real time without waiting for it to stop: on a connection that swallows bytes the driver needs 5 s
 * more to give up a statement. What is left behind is interrupted in the background and may still commit.
 */
export const bounded = <A, E, R, E2>(
  self: Effect.Effect<A, E, R>,
  duration: Duration.Input,
  onTimeout: () => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.contextWith((context) =>
    Effect.callback<A, E | E2>((resume) => {
      const fiber = Effect.runForkWith(context)(self)
      const timer = setTimeout(
        () => {
          resume(Effect.fail(onTimeout()))
          fiber.interruptUnsafe()
        },
        Duration.toMillis(Duration.fromInputUnsafe(duration))
      )
      fiber.addObserver((exit) => {
        clearTimeout(timer)
        resume(exit)
      })
      return Effect.sync(() => {
        clearTimeout(timer)
        fiber.interruptUnsafe()
      })
    })
  )
