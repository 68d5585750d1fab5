import type * as Service from "../services/Gates.ts"
import type { Time } from "./Call.ts"
import type { Running, Waiting } from "./Running.ts"

/** Approval by a person. */
export interface Gates {
  /** Asks a person, once: the same action is the same request. The token decides it: it is for the reviewer, never for the agent. */
  request(
    kind: string,
    agentId: string,
    payload?: unknown,
    options?: { readonly sessionId?: string | undefined; readonly callKey?: string | undefined }
  ): Promise<ApprovalRequest>
  /** Resolves when the request is granted; rejects with `ApprovalDenied`, `ApprovalTimeout` or `AgentHaltedError`. */
  waitFor(requestId: string, options?: Waiting & { readonly timeout?: Time | undefined }): Promise<void>
  /** Takes one person's approval. `arguments` replaces what the agent asked for. */
  grant(token: string, act: GateAct & { readonly arguments?: unknown }): Promise<GateResolution>
  deny(token: string, act: GateAct): Promise<GateResolution>
  /** Requests, with the token that decides each. */
  list(query?: {
    readonly agentId?: string | undefined
    readonly which?: "pending" | "granted" | "all" | undefined
    readonly limit?: number | undefined
  }): Promise<ReadonlyArray<ListedGate>>
  /** Moves the claim on a request; false when somebody was faster. `to: null` gives it back. */
  claim(
    requestId: string,
    change: { readonly by: string; readonly from: string | null; readonly to: string | null }
  ): Promise<boolean>
  /** Whether the agent has any unused grant. */
  hasGrantedApproval(agentId: string): Promise<boolean>
  /** What the reviewer put in place of the agent's arguments, as JSON text. */
  editedArguments(requestId: string): Promise<string | undefined>
  /** Ends what is overdue and deletes what was resolved longer ago than that, 90 days by default. */
  cleanupResolved(olderThan?: Time): Promise<number>
}

export interface ApprovalRequest {
  readonly requestId: string
  /** Shown here and to reviewers, and stored nowhere. */
  readonly token: string
  readonly expiresAt: Date
  /** False when nobody can grant it: it could not be stored, or too many wait. */
  readonly grantable: boolean
}

/** What a person does. The reason goes into the log and nowhere else. */
export interface GateAct {
  readonly by: string
  readonly reason?: string | undefined
  /** Only while this person, or with null nobody, has claimed the request. */
  readonly claimedBy?: string | null | undefined
}

export interface GateResolution {
  readonly requestId: string
  readonly agentId: string
  readonly kind: string
  /** `pending`: it needs `missing` more people. */
  readonly state: "granted" | "denied" | "pending"
  readonly missing: number
}

export interface ListedGate {
  readonly gate: Gate
  readonly votes: number
  /** What became of the call that used an earlier approval of the same action. */
  readonly earlierOutcome: "running" | "completed" | "not_run" | "unknown" | null
  /** Null where this process lacks the key, or the row is not as it was stored. */
  readonly token: string | null
}

/** A request as it is stored. Times in milliseconds by the database's clock. */
export interface Gate {
  readonly requestId: string
  readonly root: string
  readonly agentId: string
  readonly sessionId: string | null
  readonly kind: string
  readonly actionHash: string
  /** The arguments as JSON text. */
  readonly payload: string | null
  readonly matchKey: string
  readonly keyId: string
  readonly state: "pending" | "granted" | "denied" | "expired" | "consumed"
  readonly quorum: number
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly decidedAtMs: number | null
  readonly operators: ReadonlyArray<string>
  readonly reviewer: string | null
  readonly approvers: ReadonlyArray<string>
  readonly decisionMac: string | null
  readonly approvedHash: string | null
  readonly editedPayload: string | null
  readonly ticket: string | null
  readonly earlier: string | null
}

/** Waiting for a person can be given up. */
export const special = (gates: Service.Gates["Service"], running: Running<never>): Pick<Gates, "waitFor"> => ({
  waitFor: (requestId, { signal, timeout } = {}) =>
    running.promise(gates.waitFor(requestId, timeout), { signal }, { idle: true, interrupt: () => {} })
})
