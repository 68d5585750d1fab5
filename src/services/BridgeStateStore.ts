import { Context, type Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import type { ChainPosition } from "./AuditStore.ts"
import type { ReaderName } from "./ReaderStore.ts"

/** Where a bridge with an outbox stands. */
export interface BridgeState {
  /** Who counts the sequence: the same for all processes and for ever (DEC-21). A UUID. */
  readonly instance: string
  readonly revision: number
  /** The place of the first row of `inFlight`, or of the next row that is sent. */
  readonly nextSeq: number
  /** What was about to be sent, in this order. Whether it has arrived is unknown. */
  readonly inFlight: ReadonlyArray<ChainPosition>
}

/** The sequence of an outbox, where it survives every process (V8-01). */
export class BridgeStateStore extends Context.Service<
  BridgeStateStore,
  {
    /** The state as it is; a new one begins at 1 with nothing in flight, and has that instance. */
    readonly open: (reader: ReaderName, instance: string) => Effect.Effect<BridgeState, StoreError>
    /** The state without making one: null while nobody has opened it. */
    readonly read: (reader: ReaderName) => Effect.Effect<BridgeState | null, StoreError>
    /** False, and nothing changes, when the state has moved on from that revision, which else goes up by one. */
    readonly move: (
      reader: ReaderName,
      revision: number,
      to: Pick<BridgeState, "nextSeq" | "inFlight">
    ) => Effect.Effect<boolean, StoreError>
  }
>()("effect-governance/services/BridgeStateStore") {}
