import { Schema } from "effect"
import { ChainProblem } from "./ChainReport.ts"
import { ChainId, EventId } from "./Ids.ts"

/** What was handed over cannot be an event. Names the field and the fault, never the value (AUD-06, A-12 to A-16). */
export class InvalidAuditEvent extends Schema.TaggedError<InvalidAuditEvent>()(
  "InvalidAuditEvent",
  { field: Schema.String, problem: Schema.String },
  { httpApiStatus: 400 }
) {
  override get message() {
    return `The audit event was refused: ${this.field} ${this.problem}`
  }
  get recoveryHint() {
    return `Correct ${this.field}. A row of kind audit.event_refused records that something was refused.`
  }
}

/** The id belongs to another event of the same chain: an id is used once, for one event. */
export class EventIdConflict extends Schema.TaggedError<EventIdConflict>()(
  "EventIdConflict",
  { eventId: EventId, chain: ChainId, seq: Schema.Int },
  { httpApiStatus: 409 }
) {
  override get message() {
    return `Event ${this.eventId} is already row ${this.seq} of ${this.chain}, with another content`
  }
  get recoveryHint() {
    return "Give every event its own id, or none; repeat an id only to repeat the same event."
  }
}

/** The audit log contradicts itself: the first bad row, by chain and sequence number (ERR-08, AUD-12, AUD-13). */
export class ChainIntegrityError extends Schema.TaggedError<ChainIntegrityError>()("ChainIntegrityError", {
  chain: Schema.String,
  seq: Schema.Int,
  problem: ChainProblem,
  column: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `${this.chain}, row ${this.seq}: ${sentences[this.problem]}${extra(this.column ?? this.reason)}`
  }
  get recoveryHint() {
    return hints[this.problem] ?? "Run `governance verify` for every break, and compare with a checkpoint or a backup."
  }
}

const extra = (detail: string | undefined) => (detail === undefined ? "" : ` (${detail})`)

const sentences: Record<ChainProblem, string> = {
  text: "the stored text is no audit envelope",
  column: "a column contradicts the text that was hashed",
  hash: "the text was changed after it was hashed",
  gap: "rows are missing or out of order",
  link: "the row does not follow the one before it",
  hmac: "the row was not written with the key it names",
  signature: "the signature is missing or wrong",
  revokedKey: "the row was signed after its key had been revoked",
  rotation: "the marker of a key rotation is not borne out by the incoming key",
  head: "the chain does not end where its head says",
  unknownKey: "the key that sealed the row is not here, so it cannot be judged",
  unknownSigner: "the signing key is not known, so the signature cannot be judged"
}

const hints: Partial<Record<ChainProblem, string>> = {
  revokedKey: "Look who still uses the key: `governance agents keys list` says when and why it was revoked.",
  unknownKey: "Give the rotated-out secret as GOVERNANCE_CHAIN_KEY_<fingerprint> and verify again.",
  unknownSigner: "Give the public key of the signer and verify again."
}
