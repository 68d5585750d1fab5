import { Effect, Layer } from "effect"
import * as CheckpointPlace from "../layers/CheckpointPlace.ts"
import { missingFor } from "../layers/CheckpointWitnesses.ts"
import * as CheckpointStore from "../layers/postgres/CheckpointStore.ts"
import * as Finding from "../schema/Finding.ts"
import { CheckpointSinks, isWitness } from "../services/CheckpointSink.ts"
import * as Settings from "../services/Settings.ts"
import { standings } from "../services/SinkStandings.ts"
import { settings } from "./ChainKeyLayers.ts"
import * as Place from "./Place.ts"
import { standingText } from "./StandingText.ts"

const check = "witness"

/** Whether the platform that is to watch over this log does, and whether it has refused anything. Nothing where none is named. */
export const witnessFindings = (place: Place.Place["Service"]) =>
  Effect.gen(function* () {
    const given = yield* Settings.Settings
    if (!given.platform.witness) return []
    const missing = missingFor(given)
    if (missing !== null) {
      return [
        Finding.warn(
          check,
          `is switched on, but ${missing} is not set`,
          "Without it no checkpoint is shown to anybody."
        )
      ]
    }
    const witnesses = (yield* CheckpointSinks).filter(isWitness)
    return (yield* standings(witnesses)).map((standing) => {
      const said = standingText(standing)
      if (standing.alarm !== null) {
        return Finding.fail(
          check,
          said,
          "Look at the alarm on the platform. After a restored backup run `governance checkpoint adopt --reason ...`; else find out what happened."
        )
      }
      return standing.error === null ? Finding.ok(check, said) : Finding.warn(check, said, "")
    })
  }).pipe(
    Effect.provide(
      Layer.provide(CheckpointPlace.layerQuiet, CheckpointStore.layer).pipe(
        Layer.provideMerge(settings),
        Layer.provide(Layer.merge(Place.database(place), Layer.succeed(Place.Place, place)))
      ),
      { local: true }
    ),
    Effect.orElseSucceed(() => [Finding.warn(check, "could not be looked at", "Run `governance bridge status`.")])
  )
