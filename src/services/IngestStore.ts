import { Context, type Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import type { WorkflowPlace } from "../schema/Workspace.ts"

/** A copy of an audit event, redacted and ready to be kept. */
export interface IngestRow {
  /** The event's id in the log that it was copied from. */
  readonly event: string
  readonly seq: number
  readonly eventType: string
  readonly agent: string
  readonly session: string | null
  /** As the sender wrote it. */
  readonly createdAt: string
  /** JSON text without secrets. */
  readonly metadata: string
  readonly sdkVersion: string
  /** SHA-256 of the redacted content without its sequence number, hex: the same event has the same one. */
  readonly digest: string
}

/**
 * What became of events that came together. `Taken`: each is stored, or was already. `Conflict`: the id at `index` is known with
 * other content, and both digests were kept (P-02). `expected` is what the sender's next event must carry.
 */
export type IngestVerdict =
  | { readonly _tag: "Taken"; readonly stored: number; readonly duplicates: number; readonly expected: number }
  | { readonly _tag: "OutOfOrder"; readonly index: number; readonly expected: number }
  | { readonly _tag: "Conflict"; readonly index: number; readonly expected: number }
  | { readonly _tag: "NoWorkflow" }

export interface TimelineQuery {
  /** Only events before this place; null for the newest. */
  readonly before: number | null
  /** Only events after this place; the oldest of them come first when it is given. */
  readonly after: number | null
  readonly agent: string | null
  readonly session: string | null
  readonly eventType: string | null
  readonly limit: number
}

export interface TimelineRow extends Omit<IngestRow, "digest"> {
  /** The place in the timeline: 1, 2, 3 in the order in which events were stored. */
  readonly position: number
  readonly instance: string
  readonly receivedMs: number
}

/** The copies that a platform keeps of its customers' events. */
export class IngestStore extends Context.Service<
  IngestStore,
  {
    /**
     * Takes events of one sender in the order given, all of them or none. An event MUST be stored at most once for its workflow,
     * whoever sends it, and only under the sender's next number. One that is known uses up a number only if it is the next.
     */
    readonly append: (
      place: WorkflowPlace,
      instance: string,
      events: ReadonlyArray<IngestRow>,
      nowMs: number
    ) => Effect.Effect<IngestVerdict, StoreError>
    /** Newest first. Places follow commits: whoever has seen one place has seen all before it. */
    readonly timeline: (
      place: WorkflowPlace,
      query: TimelineQuery
    ) => Effect.Effect<ReadonlyArray<TimelineRow>, StoreError>
    /** Event ids that came again with other content, the latest first. */
    readonly conflicts: (
      place: WorkflowPlace,
      limit: number
    ) => Effect.Effect<
      ReadonlyArray<{
        readonly event: string
        readonly keptDigest: string
        readonly otherDigest: string
        readonly seenMs: number
      }>,
      StoreError
    >
  }
>()("effect-governance/services/IngestStore") {}
