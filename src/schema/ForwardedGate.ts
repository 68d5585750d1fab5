import type { ResolutionStatus } from "./BridgeWire.ts"
import type { WorkflowPlace } from "./Workspace.ts"

/** A request for approval in the inbox, and what was decided of it where. */
export interface ForwardedGate extends WorkflowPlace {
  readonly request: string
  readonly agent: string
  readonly kind: string
  readonly actionHash: string
  readonly expiresMs: number
  readonly sdkVersion: string
  readonly receivedMs: number
  readonly inbox: { readonly decision: "granted" | "denied"; readonly by: string; readonly atMs: number } | null
  readonly local: { readonly status: "granted" | "denied" | "expired"; readonly atMs: number } | null
}

/** What holds now: what was decided in the customer's own database, else in the inbox (FWD-06, PLT-06). */
export const resolutionOf = (
  { expiresMs, inbox, local }: Pick<ForwardedGate, "expiresMs" | "inbox" | "local">,
  nowMs: number
): { readonly status: ResolutionStatus; readonly atMs: number | null; readonly where: "sdk" | "inbox" | null } => {
  if (local !== null) return { status: local.status, atMs: local.atMs, where: "sdk" }
  if (inbox !== null) return { status: inbox.decision, atMs: inbox.atMs, where: "inbox" }
  return expiresMs <= nowMs
    ? { status: "expired", atMs: expiresMs, where: null }
    : { status: "pending", atMs: null, where: null }
}
