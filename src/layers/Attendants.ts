import { Layer } from "effect"
import * as CheckpointAfterRotation from "../services/CheckpointAfterRotation.ts"
import * as Checkpoints from "../services/Checkpoints.ts"
import * as ApprovalNotices from "./ApprovalNotices.ts"
import * as BudgetAlerts from "./BudgetAlerts.ts"
import * as Keeping from "./Keeping.ts"
import * as Reporting from "./Reporting.ts"

/** What stands on top of all services, whichever stores they have: who reads the log, tells of it, signs it and keeps it. */
export const layer = Layer.mergeAll(
  ApprovalNotices.layer,
  BudgetAlerts.layer,
  CheckpointAfterRotation.layer,
  Keeping.layer,
  Reporting.layer
).pipe(Layer.provideMerge(Checkpoints.layer))
