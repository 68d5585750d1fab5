import { Effect, Layer } from "effect"
import * as BudgetAlerts from "../services/BudgetAlerts.ts"
import { Settings } from "../services/Settings.ts"
import * as Egress from "./Egress.ts"

/** Sends the alerts of budget policies where that is switched on. Otherwise nothing reads the log, and nothing exists that could send (CFG-09). */
export const layer = Layer.unwrap(
  Effect.map(Settings, ({ costWebhooksEnabled }) =>
    costWebhooksEnabled ? Layer.provide(BudgetAlerts.layer, Egress.layer) : Layer.empty
  )
)
