import { Effect, Layer } from "effect"
import * as CoverageStores from "../layers/postgres/CoverageStore.ts"
import { figureText, registrationDays, reportOf } from "../schema/Coverage.ts"
import * as Finding from "../schema/Finding.ts"
import { CoverageStore } from "../services/CoverageStore.ts"
import * as Place from "./Place.ts"

const check = "coverage"

/** Whether calls to language models went past the wrappers lately, as far as somebody measures it (BEY-13, COV-03). */
export const coverageFinding = (place: Place.Place["Service"]) =>
  CoverageStore.use((store) => store.list).pipe(
    Effect.provide(Layer.provide(CoverageStores.layer, Place.database(place)), { local: true }),
    Effect.map((instances) => {
      const report = reportOf(instances)
      const text = figureText(report)
      return report.raw === 0
        ? Finding.ok(check, text)
        : Finding.warn(
            check,
            `${text}: ${report.raw} of ${report.governed + report.raw} calls to language models went past the wrappers in ${registrationDays} days`,
            "Look for coverage.ungoverned_call in the logs of the programs: it names the host. Wrap that client."
          )
    }),
    Effect.orElseSucceed(() => Finding.warn(check, "could not be read", "Run `governance migrate`, then look again."))
  )
