import type { ApprovalTokenError, TokenVersionTooOldError } from "../schema/Gate.ts"
import type { GateRequestId } from "../schema/GateRequest.ts"
import type { AgentId } from "../schema/Ids.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import type { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { GateListing } from "./GateStore.ts"

/** What a person does. The reason goes into the audit log and nowhere else (T-14). */
export interface GateAct {
  readonly by: string
  readonly reason?: string | undefined
  /** Only while this person, or with null nobody, has claimed the request (GAT-10). Left out: whoever has. */
  readonly claimedBy?: string | null | undefined
}

/** `pending`: the grant was taken, and the request needs those of `missing` more people. */
export interface GateResolution {
  readonly requestId: GateRequestId
  readonly agentId: AgentId
  readonly kind: string
  readonly state: "granted" | "denied" | "pending"
  readonly missing: number
}

export type GateActError =
  | ApprovalTokenError
  | TokenVersionTooOldError
  | InvalidInput
  | StoreError
  | ModuleDisabledError

/** A request as people see it. `token` decides it; null where this process lacks the key, the row was changed, or nothing is left to decide. */
export interface ListedGate extends GateListing {
  readonly token: string | null
}
