import { Duration, Effect, Layer } from "effect"
import { StoreError } from "../schema/StoreError.ts"
import { Checkpoints } from "./Checkpoints.ts"
import { within } from "./Deadline.ts"
import { AfterRotation, KeyRotation, make as makeRotation } from "./KeyRotation.ts"

/**
 * A rotation that ends with a checkpoint: what the outgoing key sealed is fixed, so whoever stole that key cannot write it anew
 * unnoticed (DEC-21, K-08). The rotation counts without one too: what kept it from being made is logged.
 */
export const make = Effect.gen(function* () {
  const rotation = yield* makeRotation
  const checkpoints = yield* Checkpoints

  const cover = within(checkpoints.make, patience, () =>
    StoreError.because({ store: "CheckpointStore", operation: "commit", problem: "deadline" }, undefined)
  ).pipe(
    // Nobody signs this log: programs and `doctor` say so already.
    Effect.catchTag("ConfigurationError", () => Effect.void),
    Effect.catch((error) =>
      Effect.logWarning(`No checkpoint covers the rotation yet: ${error.message}. ${error.recoveryHint}`)
    ),
    Effect.catchCause((cause) => Effect.logWarning("chain_keys.no_checkpoint", cause))
  )

  return KeyRotation.of({
    rotate: (input) =>
      Effect.flatMap(AfterRotation, (after) =>
        Effect.provideService(rotation.rotate(input), AfterRotation, (rotated) => Effect.andThen(after(rotated), cover))
      )
  })
})

export const layer = Layer.effect(KeyRotation, make)

/** Other processes wait for the word that the key has changed. */
const patience = Duration.seconds(10)
