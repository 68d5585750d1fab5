import { Effect, Layer } from "effect"
import * as ApprovalWebhook from "../services/ApprovalWebhook.ts"
import { Settings } from "../services/Settings.ts"
import * as Egress from "./Egress.ts"

/** Tells the configured receivers of approvals. Without one nothing reads the log, and nothing exists that could send. */
export const layer = Layer.unwrap(
  Effect.map(Settings, ({ approvalWebhooks }) =>
    approvalWebhooks.length === 0 ? Layer.empty : Layer.provide(ApprovalWebhook.layer, Egress.layer)
  )
)
