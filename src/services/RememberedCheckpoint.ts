import { Context, Effect, Layer } from "effect"

/** The last checkpoint that somebody saw here, as text that can be kept. */
export interface Remembered {
  readonly origin: string
  readonly size: number
  /** In hex. */
  readonly root: string
  /** The verifier key, `name+hash+base64`; null when it was not known. */
  readonly key: string | null
  /** The sinks that had something then: one of them that is gone was deleted. */
  readonly sinks: ReadonlyArray<string>
}

/**
 * What a program or a person at a terminal saw last, kept outside the database: the only thing that notices a database that
 * went back together with its sinks. Nothing remembered is normal; a memory that cannot be kept is said once and forgotten.
 */
export class RememberedCheckpoint extends Context.Service<
  RememberedCheckpoint,
  {
    readonly recall: Effect.Effect<Remembered | null>
    readonly keep: (checkpoint: Remembered) => Effect.Effect<void>
  }
>()("effect-governance/services/RememberedCheckpoint") {}

export const makeMemory = (): RememberedCheckpoint["Service"] => {
  let last: Remembered | null = null
  return RememberedCheckpoint.of({
    recall: Effect.sync(() => last),
    keep: (checkpoint) =>
      Effect.sync(() => {
        last = checkpoint
      })
  })
}

/** Forgets with the process. */
export const layerMemory = Layer.sync(RememberedCheckpoint, makeMemory)
