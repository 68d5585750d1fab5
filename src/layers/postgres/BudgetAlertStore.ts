import { Effect, Layer } from "effect"
import { BudgetAlertStore } from "../../services/BudgetAlertStore.ts"
import { storable } from "./AdmissionStatements.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** Alerts that were sent, beside the counters that they are about. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("BudgetAlertStore")

  return BudgetAlertStore.of({
    claim: ({ agentId, cap, day, session }) =>
      Effect.map(
        ask("claim", `SELECT ${prefix}governance_claim_alert($1, $2, $3, $4)`, [
          agentId,
          cap,
          day,
          session === null ? null : storable(session)
        ]),
        ([row]) => row?.[0] === true
      )
  })
})

export const layer = Layer.effect(BudgetAlertStore, make)
