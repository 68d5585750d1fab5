import { Result, Schema } from "effect"
import { canonicalize } from "./CanonicalJson.ts"
import { ActionHash, GateRequestId } from "./GateRequest.ts"
import { AgentId, EventId, OperatorId, SessionId } from "./Ids.ts"

const Moment = Schema.String.check(Schema.isPattern(/^[+-]?\d{4,6}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/u))
const Version = Schema.String.check(Schema.isPattern(/^[\w.+-]{1,64}$/u))
const Seq = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** One audit event as it leaves a deployment: a copy, redacted before it was queued (BRG-11, OQ-16). */
export const IngestEvent = Schema.Struct({
  /** Grows by one with each event of one instance that the platform has taken, from 1 on. No place in a chain. */
  seq: Seq,
  event_id: EventId,
  event_type: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(128)),
  agent_id: AgentId,
  session_id: Schema.NullOr(SessionId),
  created_at: Moment,
  /** At most 64 KiB as canonical JSON. */
  metadata: Schema.Json,
  sdk_version: Version
})
export type IngestEvent = typeof IngestEvent.Type

export const maxMetadataBytes = 65_536
export const maxBatch = 100

/** What `routes.batch` takes: all of it or, with any answer but 2xx, nothing. */
export const IngestBatch = Schema.Struct({
  events: Schema.Array(IngestEvent).check(Schema.isMinLength(1), Schema.isMaxLength(maxBatch))
})
export type IngestBatch = typeof IngestBatch.Type

/** Answers 2xx. `expected_seq` is what the next event of this instance has to carry. */
export const IngestAccepted = Schema.Struct({ accepted: Schema.Natural, duplicates: Schema.Natural, expected_seq: Seq })

/**
 * What makes an event the same when it comes again: everything that its sender cannot help changing is left out (P-02). An
 * event with a known id and this content is a duplicate, whatever its `seq`; it uses a `seq` up only if that is the expected one.
 */
export const contentOf = (event: IngestEvent): string =>
  canonicalize([event.event_type, event.agent_id, event.session_id, event.created_at, event.metadata])

/** 409 with `expected_seq`: the instance's events were not in order (BRG-10). */
export const SeqOutOfOrder = Schema.Struct({ error: Schema.Literal("seq_out_of_order"), expected_seq: Seq })
/** 409 without: the id is known with another content (P-02). */
export const EventConflict = Schema.Struct({ error: Schema.Literal("event_id_conflict"), event_id: EventId })
/** 402, from any route (BRG-08, PLT-08). */
export const NotEntitled = Schema.Struct({
  error: Schema.Literal("tier_not_entitled"),
  upgrade_url: Schema.NullOr(Schema.String.check(Schema.isMaxLength(2048)))
})
/** Every other 4xx and 5xx. `error` is a word such as `unauthorized`, `rate_limited`, `invalid`, `not_found`. */
export const Refused = Schema.Struct({ error: Schema.String.check(Schema.isPattern(/^[a-z_]{1,64}$/u)) })

/** A request for approval as it is forwarded: exactly these six fields, never a payload, a token or a reason (FWD-02, FWD-03). */
export const GateForward = Schema.Struct({
  request_id: GateRequestId,
  agent_id: AgentId,
  kind: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(512)),
  action_hash: ActionHash,
  expires_at: Moment,
  sdk_version: Version
})
export type GateForward = typeof GateForward.Type

export const ResolutionStatus = Schema.Literals(["pending", "granted", "denied", "expired"])
export type ResolutionStatus = typeof ResolutionStatus.Type

/**
 * What the inbox says of a request (OQ-17). A decision counts only with the hash of the action that was shown and with the
 * person who made it (FWD-12); a reason has no place here, and is ignored if it comes (FWD-07).
 */
export const GateResolution = Schema.Struct({
  status: ResolutionStatus,
  resolved_at: Schema.NullOr(Moment),
  action_hash: Schema.optionalKey(ActionHash),
  /** The address that the person signed in with. */
  decided_by: Schema.optionalKey(Schema.NullOr(OperatorId))
})
export type GateResolution = typeof GateResolution.Type

/** The reverse way: the request was resolved on its own database, which wins (FWD-08). */
export const LocalResolution = Schema.Struct({
  status: Schema.Literals(["granted", "denied", "expired"]),
  resolved_at: Moment
})
export type LocalResolution = typeof LocalResolution.Type

/** What a witness answers with the last checkpoint that it has accepted of a log. */
export const WitnessHead = Schema.Struct({
  log: Schema.NullOr(Schema.Struct({ size: Schema.Natural, note: Schema.String, seen_ms: Schema.Int })),
  /** The last notes of other logs under the same token: another identity of the same database shows there. */
  others: Schema.Array(Schema.String),
  /** The latest refusal that nobody has answered for. */
  alarm: Schema.NullOr(
    Schema.Struct({ problem: Schema.String.check(Schema.isPattern(/^[a-z_]{1,64}$/u)), seen_ms: Schema.Int })
  )
})

/** Names whoever counts `seq`, so that several processes of one workflow do not get in each other's way (PLT-11). */
export const instanceHeader = "governance-instance"
export const Instance = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{1,64}$/u))
/** Where a bridge sends: `events` is the URL as configured, the others hang below its origin (C-01, OQ-17). */
export interface Routes {
  readonly events: string
  /** The same for up to 100 events at once; optional: 404 or 405 sends a bridge back to `events`. */
  readonly batch: string
  readonly gates: string
  /** GET for what the inbox says, POST for what was decided here. */
  readonly resolution: (request: GateRequestId) => string
  /** POST shows a checkpoint, GET asks for the last one that was accepted (BEY-04). */
  readonly witness: string
  readonly witnessAdoptions: string
}

export const apiPath = "/api/v1"

/** Fails with what is wrong about the URL, in words that do not repeat it. */
export const routesOf = (ingestUrl: string): Result.Result<Routes, string> => {
  const url = URL.parse(ingestUrl)
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return Result.fail("must be an absolute https URL, such as https://platform.example/api/v1/ingest/events")
  }
  if (url.username !== "" || url.password !== "" || url.hash !== "") {
    return Result.fail("must not hold a user name, a password or a fragment")
  }
  const below = `${url.origin}${apiPath}`
  return Result.succeed({
    events: ingestUrl,
    batch: `${below}/ingest/events/batch`,
    gates: `${below}/bridge/gates`,
    resolution: (request) => `${below}/bridge/gates/${request}/resolution`,
    witness: `${below}/witness/checkpoints`,
    witnessAdoptions: `${below}/witness/adoptions`
  })
}
