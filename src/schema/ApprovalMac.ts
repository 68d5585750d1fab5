import { canonicalize } from "./CanonicalJson.ts"
import type { ActionHash, GateRequestId } from "./GateRequest.ts"
import type { OperatorId } from "./Ids.ts"
import { isoOf } from "./Instant.ts"
import { domainLabels } from "./Subkeys.ts"

/** The purpose of the HKDF sub-key that proves the rows of a decision. */
export const approvalPurpose = "approval-row"

/** What a row of a decision is worth: who decided what about which action, until when, and where (T-18). */
export interface ApprovalFacts {
  readonly deployment: string
  readonly requestId: GateRequestId
  /** The action that may run. */
  readonly actionHash: ActionHash
  readonly decision: "granted" | "denied" | "vote"
  /** Sorted. */
  readonly approvers: ReadonlyArray<OperatorId>
  readonly expiresAtMs: number
}

/** The text under the MAC of a row: its label, then JCS. */
export const approvalText = (facts: ApprovalFacts): string =>
  domainLabels.approvalRow +
  canonicalize({
    action: facts.actionHash,
    approvers: [...facts.approvers],
    decision: facts.decision,
    deployment: facts.deployment,
    expiresAt: isoOf(facts.expiresAtMs),
    request: facts.requestId
  })
