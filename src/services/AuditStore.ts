import { Context, type Effect, type Stream } from "effect"
import type { AuditDraft, ChainHead, ChainRow } from "../schema/Envelope.ts"
import type { AgentId, ChainId, EventId, SessionId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** `IdTaken`: another event with this id is already in the chain; the caller decides whether that is its own. */
export type AppendResult =
  | { readonly _tag: "Stored"; readonly row: ChainRow }
  | { readonly _tag: "IdTaken"; readonly row: ChainRow }

export interface AuditQuery {
  readonly chain?: ChainId | undefined
  readonly agentId?: AgentId | undefined
  readonly sessionId?: SessionId | undefined
  readonly kinds?: ReadonlyArray<string> | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Newest first when true; the default is the order of the chain, or of `at` across chains. */
  readonly newestFirst?: boolean | undefined
  /** Default 1000, at most 10000. */
  readonly limit?: number | undefined
}

/** A position in one chain. Readers are exact by chain: across chains there is no order that a late commit cannot break. */
export interface ChainPosition {
  readonly chain: ChainId
  readonly seq: number
}

/**
 * Where the chains are kept. A store owns order, durability and the compare-and-swap on the head; what a row contains and
 * how it is hashed is `schema/Chain.ts`, with the keys of `ChainKeys`.
 */
export class AuditStore extends Context.Service<
  AuditStore,
  {
    /**
     * Resolves when the row is durably committed. MUST keep one successor per row whatever runs beside it (no fork, no gap),
     * MUST return the stored row for an id it knows, and MUST be safe to interrupt: then the outcome is unknown, never half.
     */
    readonly append: (draft: AuditDraft) => Effect.Effect<AppendResult, StoreError>
    /** `append` without a fiber, for stores that need not wait; null when this one would have to wait now. */
    readonly appendSync?: ((draft: AuditDraft, nowMs: number) => AppendResult | StoreError | null) | undefined
    /** The same inside `StoreTransaction.run`, committing or vanishing with it. Takes the head's row lock. */
    readonly appendInTransaction: (draft: AuditDraft) => Effect.Effect<AppendResult, StoreError>
    readonly head: (chain: ChainId) => Effect.Effect<ChainHead, StoreError>
    /** Every chain with its head, in order of chain, page by page. */
    readonly heads: (
      after: ChainId | null,
      limit: number
    ) => Effect.Effect<ReadonlyArray<ChainPosition & ChainHead>, StoreError>
    /** Rows of one chain in order of seq; ends at the last row present, follows nothing. */
    readonly rows: (
      chain: ChainId,
      range?: { readonly fromSeq?: number | undefined; readonly toSeq?: number | undefined }
    ) => Stream.Stream<ChainRow, StoreError>
    readonly find: (query: AuditQuery) => Effect.Effect<ReadonlyArray<ChainRow>, StoreError>
    readonly byId: (id: EventId, chain?: ChainId) => Effect.Effect<ReadonlyArray<ChainRow>, StoreError>
    /** Chains that have rows recorded since the given moment of the database's clock, minus a margin for late commits. */
    readonly movedSince: (recordedMs: number) => Effect.Effect<ReadonlyArray<ChainPosition>, StoreError>
  }
>()("effect-governance/services/AuditStore") {}
