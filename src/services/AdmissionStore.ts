import { Context, type Effect } from "effect"
import type { Admission, ExpiredTicket, Settled, Settlement, Verdict } from "../schema/Call.ts"
import type { AgentId, TicketId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** The atomic heart of a governed call: one round trip says yes or no, another settles. */
export class AdmissionStore extends Context.Service<
  AdmissionStore,
  {
    /**
     * Reads the halt of every agent on the path, counts the call in its loop window and holds its worst case on every cap of
     * the path in one atomic step, so that concurrent callers cannot both take the last cent and no call is admitted after a
     * halt has committed. Caps, halts and path come from the store, never from the caller. MUST return the first verdict again
     * for a ticket it knows, refusals included.
     */
    readonly admit: (request: Admission) => Effect.Effect<Verdict, StoreError>
    /**
     * Replaces the hold by what was spent, once: MUST be idempotent by ticket. A ticket that was charged as an orphan is
     * corrected (`late`).
     */
    readonly settle: (root: AgentId, ticket: TicketId, settlement: Settlement) => Effect.Effect<Settled, StoreError>
    /** `admit` and `settle` without a fiber, for stores that need not wait; absent where they must. */
    readonly now?:
      | {
          readonly admit: (request: Admission, nowMs: number) => Verdict | StoreError
          readonly settle: (
            root: AgentId,
            ticket: TicketId,
            settlement: Settlement,
            nowMs: number
          ) => Settled | StoreError
        }
      | undefined
    /** Moves the end of an open ticket's lease to now plus `leaseMs`; false when the ticket is not open any more. */
    readonly renew: (root: AgentId, ticket: TicketId, leaseMs: number) => Effect.Effect<boolean, StoreError>
    /** Open tickets whose lease has ended by the store's clock, oldest first. Takes nothing: settling decides who won. */
    readonly expired: (limit: number) => Effect.Effect<ReadonlyArray<ExpiredTicket>, StoreError>
    /** Forgets settled tickets 24 hours after their outcome. Returns how many went. */
    readonly forget: (limit: number) => Effect.Effect<number, StoreError>
  }
>()("effect-governance/services/AdmissionStore") {}
