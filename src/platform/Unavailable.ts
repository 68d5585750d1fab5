import { Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"

/** A store that does not answer is a 503 for whoever asks, and one line in the log for whoever runs the platform. */
export const logged = <A, E, R>(self: Effect.Effect<A, E | StoreError, R>) =>
  Effect.catchIf(
    self,
    (error): error is Extract<E | StoreError, StoreError> => isStoreError(error),
    (error) =>
      // What the driver said may name hosts and roles: it is for whoever asks for it.
      Effect.logError(`${error.message}. ${error.recoveryHint}`).pipe(
        Effect.andThen(Effect.logDebug(error.detail)),
        Effect.andThen(Effect.fail({ error: "unavailable" } as const))
      )
  )

const isStoreError = (error: unknown): boolean =>
  typeof error === "object" && error !== null && Reflect.get(error, "_tag") === "StoreError"
