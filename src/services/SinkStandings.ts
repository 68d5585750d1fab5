import { Effect, Result } from "effect"
import { type CheckpointSink, isWitness } from "./CheckpointSink.ts"

/** How far a place outside the database is, as it says itself. */
export interface SinkStanding {
  readonly sink: string
  readonly isWitness: boolean
  /** Null: nothing is there yet, or it could not be asked. */
  readonly size: number | null
  /** What a witness has refused, and nobody has answered for. */
  readonly alarm: string | null
  /** Why it could not be asked. */
  readonly error: string | null
}

/** Asks every place. Nothing is held against anything here: that is what `examine` does. */
export const standings = (sinks: ReadonlyArray<CheckpointSink>): Effect.Effect<ReadonlyArray<SinkStanding>> =>
  Effect.forEach(sinks, (sink) =>
    Effect.map(
      Effect.result(isWitness(sink) ? sink.standing : Effect.map(sink.head, (head) => ({ head, alarm: null }))),
      (found): SinkStanding => {
        const known = { sink: sink.name, isWitness: isWitness(sink) }
        return Result.isSuccess(found)
          ? {
              ...known,
              size: found.success.head?.size ?? null,
              alarm: found.success.alarm?.problem ?? null,
              error: null
            }
          : { ...known, size: null, alarm: null, error: `${found.failure.message}. ${found.failure.recoveryHint}` }
      }
    )
  )
