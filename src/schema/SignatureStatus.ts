import { Schema } from "effect"
import type { AgentKey } from "./AgentKey.ts"
import type { ChainRow } from "./Envelope.ts"
import type { AgentId } from "./Ids.ts"

/**
 * What can be said of a row's signature (IDN-05). `legacy_unsigned`: the agent had no key yet. `unsigned`: it had one, and the
 * row was written without. `unsigned_local_failure`: the writer should have signed and could not, and said so. `signed`: by
 * the agent's key, and whoever verifies has checked it (OQ-05). The other three: `revoked_key` and `invalid_signature` are
 * breaks, `unknown_key` could not be judged.
 */
export const SignatureStatus = Schema.Literals([
  "legacy_unsigned",
  "unsigned",
  "signed",
  "unsigned_local_failure",
  "revoked_key",
  "invalid_signature",
  "unknown_key"
])
export type SignatureStatus = typeof SignatureStatus.Type

/** How many rows have which status; what does not occur is left out. */
export const SignatureCounts = Schema.Record(SignatureStatus, Schema.optionalKey(Schema.Int))
export type SignatureCounts = typeof SignatureCounts.Type

/**
 * Stands in a row's `signer` where its writer could not sign (IDN-04). It is part of the canonical text, under hash and HMAC:
 * nobody without the audit secret can put it in place of a signature that was taken away, or take it out. It names no key,
 * so a row with it is never a signed one, and a signature beside it is a break.
 */
export const localFailure = "unsigned_local_failure"

/** What a public key says of a row that names it. `invalid` also where the key belongs to another agent. */
export type SignatureVerdict = "valid" | "invalid" | "revoked" | "unknown"

/** The registered keys, as far as verification must know them. */
export interface KnownKeys {
  readonly byFingerprint: Map<string, AgentKey>
  /** When the agent's first key was registered, in milliseconds. */
  readonly firstKeyMs: ReadonlyMap<AgentId, number>
}

export const knownKeys = (keys: Iterable<AgentKey>): KnownKeys => {
  const byFingerprint = new Map<string, AgentKey>()
  const firstKeyMs = new Map<AgentId, number>()
  for (const key of keys) {
    byFingerprint.set(key.fingerprint, key)
    firstKeyMs.set(key.agentId, Math.min(key.registeredAtMs, firstKeyMs.get(key.agentId) ?? Number.POSITIVE_INFINITY))
  }
  return { byFingerprint, firstKeyMs }
}

/** Whether the row names a key, so that there is a signature to check. */
export const namesKey = (row: ChainRow): boolean => row.signer !== null && row.signer !== localFailure

/**
 * What is known before any signature is computed; undefined where the key may judge. A row counts as signed after the
 * revocation when its `at` is later: within a chain `at` never goes back, across machines it is as good as their clocks.
 */
export const verdictBefore = (row: ChainRow, keys: KnownKeys): Exclude<SignatureVerdict, "valid"> | undefined => {
  const key = row.signer === null ? undefined : keys.byFingerprint.get(row.signer)
  if (key === undefined) return "unknown"
  if (key.agentId !== row.agent || row.signature === null) return "invalid"
  return undefined
}

/** The verdict on a signature that fits, by the time of the row. */
export const verdictAfter = (row: ChainRow, keys: KnownKeys): "valid" | "revoked" => {
  const revocation = row.signer === null ? null : (keys.byFingerprint.get(row.signer)?.revocation ?? null)
  return revocation !== null && row.atMs > revocation.revokedAtMs ? "revoked" : "valid"
}

/** The status of a row, with the verdict on its signature where it names a key. */
export const statusOf = (row: ChainRow, keys: KnownKeys, verdict: SignatureVerdict | undefined): SignatureStatus => {
  if (row.signer === null) {
    if (row.signature !== null) return "invalid_signature"
    const since = keys.firstKeyMs.get(row.agent)
    return since === undefined || row.atMs < since ? "legacy_unsigned" : "unsigned"
  }
  if (row.signer === localFailure) return row.signature === null ? "unsigned_local_failure" : "invalid_signature"
  if (row.signature === null) return "invalid_signature"
  return verdict === undefined ? "unknown_key" : byVerdict[verdict]
}

const byVerdict: Record<SignatureVerdict, SignatureStatus> = {
  valid: "signed",
  invalid: "invalid_signature",
  revoked: "revoked_key",
  unknown: "unknown_key"
}
