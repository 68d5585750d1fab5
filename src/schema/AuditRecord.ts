import { Schema } from "effect"
import { AgentId, ChainId, EventId, KeyId, SessionId } from "./Ids.ts"
import { localFailure } from "./SignatureStatus.ts"

const Hex = Schema.String.check(Schema.isPattern(/^[0-9a-f]*$/))

/** 64 zeros: the `hmac` of an event that is not in the chain (AUD-08). */
export const noHmac = "0".repeat(64)

/**
 * One event as the audit log knows it (AUD-03). `stored`: durably committed, part of the chain. `spooled`: the database did
 * not answer, the event waits in the fallback and will be appended once. `placeholder`: neither could take it (AUD-08).
 */
export class AuditRecord extends Schema.Class<AuditRecord>("effect-governance/AuditRecord")({
  status: Schema.Literals(["stored", "spooled", "placeholder"]),
  id: EventId,
  chain: ChainId,
  /** 1 for the first row of a chain; 0 while the event is not in the chain. */
  seq: Schema.Int,
  /** ISO 8601 in UTC with milliseconds, never earlier than the row before it. */
  at: Schema.String,
  /** When the event was logged, if the database could not take it then; part of what is hashed. */
  delayedSince: Schema.NullOr(Schema.String),
  kind: Schema.String,
  agentId: AgentId,
  sessionId: Schema.NullOr(SessionId),
  parentEventId: Schema.NullOr(EventId),
  model: Schema.NullOr(Schema.String),
  inputHash: Schema.NullOr(Schema.String),
  outputHash: Schema.NullOr(Schema.String),
  metadata: Schema.Json,
  prevHash: Schema.NullOr(Hex),
  hash: Hex,
  hmac: Hex,
  keyId: KeyId,
  signer: Schema.NullOr(Schema.String),
  signature: Schema.NullOr(Hex)
}) {
  /** What its writer did about a signature (OQ-05); whether a signature is valid is for `verify` to say. */
  get signatureStatus(): "signed" | "unsigned" | "unsigned_local_failure" {
    return this.signer === null ? "unsigned" : this.signer === localFailure ? localFailure : "signed"
  }
  get isPlaceholder(): boolean {
    return this.status === "placeholder"
  }
}
