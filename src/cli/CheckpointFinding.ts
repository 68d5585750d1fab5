import { Effect, Layer } from "effect"
import * as CheckpointStore from "../layers/postgres/CheckpointStore.ts"
import * as Finding from "../schema/Finding.ts"
import * as CheckpointStores from "../services/CheckpointStore.ts"
import * as Place from "./Place.ts"

const check = "checkpoints"

/** Whether somebody signs this log and how long ago that was; whether it bears the checkpoints out is for `verify` to say. */
export const checkpointFinding = (place: Place.Place["Service"]) =>
  CheckpointStores.CheckpointStore.use((store) => store.latest).pipe(
    Effect.provide(Layer.provide(CheckpointStore.layer, Place.database(place)), { local: true }),
    Effect.map((latest) => {
      if (latest === null) {
        return Finding.warn(
          check,
          "there are none: rows deleted from the end, deleted chains and a restored backup would not be noticed",
          "Give your programs GOVERNANCE_CHECKPOINT_KEY and GOVERNANCE_CHECKPOINT_FILE, or run `governance checkpoint`."
        )
      }
      const said = `the latest is ${latest.size}, ${Math.round(latest.ageMs / 1000)} s old`
      return latest.notes.length > 0
        ? Finding.ok(check, said)
        : Finding.warn(
            check,
            `${said} and not signed`,
            "The next program that signs does; or run `governance checkpoint` with GOVERNANCE_CHECKPOINT_KEY: it says what keeps it from it."
          )
    }),
    Effect.orElseSucceed(() => Finding.warn(check, "could not be read", "Run `governance migrate`, then look again."))
  )
