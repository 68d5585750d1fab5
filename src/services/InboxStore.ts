import { Context, type Effect } from "effect"
import type { ForwardedGate } from "../schema/ForwardedGate.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { WorkflowPlace, WorkspaceId } from "../schema/Workspace.ts"

export type GateToForward = Omit<ForwardedGate, "inbox" | "local">

export interface InboxQuery {
  /** Only those that nobody has decided and that have not expired. */
  readonly open: boolean
  readonly nowMs: number
  readonly limit: number
}

/** Requests for approval as bridges forwarded them. Each act names workspace and workflow (P-09, P-11). */
export class InboxStore extends Context.Service<
  InboxStore,
  {
    /** Keeps it once. `Differs`: the id is known with another content, and nothing changed. */
    readonly forward: (gate: GateToForward) => Effect.Effect<"Stored" | "Known" | "Differs" | "NoWorkflow", StoreError>
    readonly find: (place: WorkflowPlace, request: string) => Effect.Effect<ForwardedGate | null, StoreError>
    /** What was decided in the customer's database; the first word stays. Null for a request that was never forwarded. */
    readonly settle: (
      place: WorkflowPlace,
      request: string,
      local: NonNullable<ForwardedGate["local"]>
    ) => Effect.Effect<ForwardedGate | null, StoreError>
    /**
     * A decision in the inbox, MUST be taken only while nobody has decided anywhere, the request has not expired at `atMs`, and
     * its action is the one that was shown. Gives the request as it is afterwards.
     */
    readonly decide: (
      place: WorkflowPlace,
      request: string,
      shown: { readonly actionHash: string } & NonNullable<ForwardedGate["inbox"]>
    ) => Effect.Effect<{ readonly taken: boolean; readonly gate: ForwardedGate } | null, StoreError>
    /** The latest first. */
    readonly list: (
      workspace: WorkspaceId,
      query: InboxQuery
    ) => Effect.Effect<ReadonlyArray<ForwardedGate>, StoreError>
  }
>()("effect-governance/services/InboxStore") {}
