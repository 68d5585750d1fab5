import { Cause, Effect, Option, Schedule } from "effect"
import type { Admitted } from "../schema/Admitted.ts"
import { StoreError } from "../schema/StoreError.ts"
import { AdmissionStore } from "./AdmissionStore.ts"
import { within } from "./Deadline.ts"
import { Settings } from "./Settings.ts"

/** Gives back what was held for a call that does not run. */
export const make = Effect.gen(function* () {
  const admission = yield* AdmissionStore
  const settings = yield* Settings
  const services = yield* Effect.scope

  const refused = ({ lineage, ticket }: Admitted) => admission.settle(lineage.root, ticket, { _tag: "Refused" })

  return {
    /** For a call that the store has just admitted: whoever refuses it waits for that. */
    release: (admitted: Admitted) => Effect.ignore(within(refused(admitted), settings.enforcementDeadline, tooLate)),
    /** In the background, until the store has heard it or the lease has ended: nobody waits for a call that does not run. */
    giveBack: (admitted: Admitted) =>
      Effect.asVoid(
        Effect.forkIn(
          refused(admitted).pipe(
            // A ticket that the store does not know may still be on its way to it.
            Effect.flatMap(({ outcome }) => (outcome === "unknown" ? Effect.fail(tooLate()) : Effect.void)),
            Effect.retry({ times: 6, schedule: Schedule.exponential("100 millis") }),
            Effect.ignore
          ),
          services,
          { startImmediately: true }
        )
      )
  }
})

export const tooLate = () =>
  StoreError.because({ store: "AdmissionStore", operation: "admit", problem: "deadline" }, undefined)

/** The caller has gone, or no answer came: the store may hold money for a call that does not run. */
export const isUnknown = (cause: Cause.Cause<StoreError>) =>
  Option.getOrElse(Cause.findErrorOption(cause), tooLate).problem === "deadline"
