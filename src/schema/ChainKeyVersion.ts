import { Schema } from "effect"
import { EventId, KeyId } from "./Ids.ts"

/** One key of the log, as the registry knows it (ROT-02). Version 1 is the first key, which no marker announced. */
export const ChainKeyVersion = Schema.Struct({
  version: Schema.Int,
  keyId: KeyId,
  fingerprint: Schema.String,
  previous: Schema.NullOr(KeyId),
  /** The marker in chain `operator`. */
  marker: Schema.NullOr(EventId),
  /** The incoming secret, readable for holders of the outgoing one; null when it was not handed over. */
  handover: Schema.NullOr(Schema.Uint8Array)
})
export type ChainKeyVersion = typeof ChainKeyVersion.Type

/** The log is sealed with a key that this process neither has nor can learn: what it wrote nobody could verify. */
export class OtherChainKey extends Schema.TaggedError<OtherChainKey>()("OtherChainKey", {
  /** Of the log, as its registry names it. */
  keyId: KeyId,
  version: Schema.Int,
  /** Of the secret that was given. */
  given: KeyId
}) {
  override get message() {
    return `This audit log is sealed with key ${this.keyId.slice(0, 16)} (version ${this.version}), and the given secret is ${this.given.slice(0, 16)}: another log, or another secret`
  }
  get recoveryHint() {
    return "Set GOVERNANCE_AUDIT_SECRET to the secret of this log, or check that this is the right database. If the secret is lost, begin a new log in another schema; do not write on into this one."
  }
}

/** Somebody else rotated first, or the new secret was this log's before: nothing was changed (L-09). */
export class RotationRefused extends Schema.TaggedError<RotationRefused>()("RotationRefused", {
  problem: Schema.Literals(["overtaken", "behind", "known key"]),
  keyId: KeyId
}) {
  override get message() {
    return `The key was not rotated: ${sentences[this.problem]} (${this.keyId.slice(0, 16)})`
  }
  get recoveryHint() {
    return hints[this.problem]
  }
}

const sentences = {
  overtaken: "somebody else rotated at the same time",
  behind: "the log's current key is not here",
  "known key": "the new secret is or was a key of this log already"
} as const

const hints = {
  overtaken: "Nothing need be done if one rotation was meant; else run the command again.",
  behind: "Give the log's current secret as GOVERNANCE_AUDIT_SECRET, then rotate.",
  "known key":
    "If an earlier run was cut off, it is done: set GOVERNANCE_AUDIT_SECRET to the new secret. Else make another with `openssl rand -hex 32`: a secret that was replaced must not come back."
} as const
