import { Context, type Effect } from "effect"
import type { ActionHash, EarlierOutcome, Gate, GateRequestId, GateState, GateVote } from "../schema/GateRequest.ts"
import type { AgentId, KeyId, OperatorId, SessionId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** A request as it is asked for. The store sets its times by its own clock, and looks up who operates the agent. */
export interface GateOpening {
  readonly requestId: GateRequestId
  readonly root: AgentId
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  readonly kind: string
  readonly actionHash: ActionHash
  readonly payload: string | null
  readonly keyId: KeyId
  readonly quorum: number
  readonly expiresAfterMs: number
  /** What makes two requests the same one (DEC-21); compared within the tree. */
  readonly matchKey: string
  /** No more than that many of the agent's requests may be pending (T-12). */
  readonly maxPending: number
}

/** `Known`: a pending request or an unused grant with the same key is there already, so this is the same request. */
export type GateOpened =
  | { readonly _tag: "Opened"; readonly gate: Gate }
  | { readonly _tag: "Known"; readonly gate: Gate }
  | { readonly _tag: "Full"; readonly pending: number }

/** All that a decision depends on, read at one moment. */
export interface GateView {
  readonly gate: Gate
  readonly votes: ReadonlyArray<GateVote>
  /** Who operates the agent and those above it now. */
  readonly operatorsNow: ReadonlyArray<OperatorId>
  /** The stored gate policies of the agent's path, root first. */
  readonly policies: ReadonlyArray<unknown>
  /** The store's clock. */
  readonly nowMs: number
}

export interface GateDecision {
  readonly requestId: GateRequestId
  readonly root: AgentId
  readonly decision: "granted" | "denied" | "vote"
  readonly approver: OperatorId
  /** What may run, and its arguments where the reviewer changed them. */
  readonly actionHash: ActionHash
  readonly editedPayload: string | null
  /** Of the vote for `vote`, else of the decision. */
  readonly mac: string
  /** Whose grants make the decision, sorted. */
  readonly approvers: ReadonlyArray<OperatorId>
  /** The decision holds only while that many votes are there. */
  readonly votes: number
  /** The decision holds only while this person, or nobody, has claimed the request (GAT-10). Undefined: whoever has. */
  readonly reviewer: OperatorId | null | undefined
}

/** `Moved`: what the decision was made on has changed; read again. */
export type GateDecided =
  | { readonly _tag: "Decided" }
  | { readonly _tag: "Resolved"; readonly state: GateState }
  | { readonly _tag: "Expired" }
  | { readonly _tag: "Moved" }

export interface GateListing {
  readonly gate: Gate
  readonly votes: number
  /** What became of the call that used the earlier approval; null when there was none. */
  readonly earlierOutcome: EarlierOutcome | null
}

/** Requests for approval and their decisions. Whoever changes one holds its tree first, as admission does. */
export class GateStore extends Context.Service<
  GateStore,
  {
    /** Finds the request or makes it, in one atomic step: two askers of the same thing get one card (BEY-10). */
    readonly open: (opening: GateOpening) => Effect.Effect<GateOpened, StoreError>
    /** Null when there is no such request. */
    readonly read: (requestId: GateRequestId) => Effect.Effect<GateView | null, StoreError>
    /** The state alone, for whoever waits; pending requests whose time is over say `expired`. */
    readonly stateOf: (requestId: GateRequestId) => Effect.Effect<GateState | null, StoreError>
    /** Decides a pending request once, or adds a vote. Expiry is judged by the store's clock, at this moment (T-04). */
    readonly decide: (decision: GateDecision) => Effect.Effect<GateDecided, StoreError>
    /** Ends a request: one whose time is over, or with `early` an unused one that the policy no longer carries. True once. */
    readonly expire: (root: AgentId, requestId: GateRequestId, early: boolean) => Effect.Effect<boolean, StoreError>
    /** Moves the claim on a pending request from one reviewer (or nobody) to another; false when it was elsewhere (GAT-10). */
    readonly claim: (
      root: AgentId,
      requestId: GateRequestId,
      from: OperatorId | null,
      to: OperatorId | null
    ) => Effect.Effect<boolean, StoreError>
    /** Newest first: those that can still be decided, those that can be used, or all. */
    readonly list: (query: {
      readonly agentId: AgentId | null
      readonly which: "pending" | "granted" | "all"
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<GateListing>, StoreError>
    /** Unresolved requests whose time is over. */
    readonly overdue: (limit: number) => Effect.Effect<ReadonlyArray<Gate>, StoreError>
    /** Whether the agent has an unused grant that is still good (GAT-12). */
    readonly hasGranted: (agentId: AgentId) => Effect.Effect<boolean, StoreError>
    /**
     * Deletes resolved requests older than that, and returns how many went (GAT-13). MUST keep those whose time is not over,
     * since a request made again with the same facts would be worth its old decision, and those whose call may still run.
     */
    readonly forget: (olderThanMs: number, limit: number) => Effect.Effect<number, StoreError>
    /** The store's clock. */
    readonly nowMs: Effect.Effect<number, StoreError>
    /** The deployment that tokens are good for (DEC-09). */
    readonly deploymentId: Effect.Effect<string, StoreError>
  }
>()("effect-governance/services/GateStore") {}
