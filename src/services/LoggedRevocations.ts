import { Effect, Option, Schema } from "effect"
import type { AgentKey, AgentKeyRevocation } from "../schema/AgentKey.ts"
import { checkRow, type Verifier } from "../schema/Chain.ts"
import { operatorChain } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { AuditStore } from "./AuditStore.ts"

/** By fingerprint. */
export type LoggedRevocations = ReadonlyMap<string, AgentKeyRevocation>

export const none: LoggedRevocations = new Map()

/** How a revocation is told in chain `operator`: with it, or where that could not be done, about it (IDN-07). */
export const revocationKinds = ["audit.agent_key_revocation", "identity.revocation_without_chain_event"] as const

/**
 * The revocations that chain `operator` tells of, by rows that pass their own check. Whoever may change tables can take one out
 * of the registry, but not out of the log: a stolen key stays revoked (IDN-06).
 */
export const read = (store: AuditStore["Service"], verifier: Verifier): Effect.Effect<LoggedRevocations, StoreError> =>
  Effect.map(store.find({ chain: operatorChain, kinds: revocationKinds, limit: mostRead }), (rows) => {
    const found = new Map<string, AgentKeyRevocation>()
    for (const row of rows) {
      const told = Option.getOrUndefined(decode(row.canonical))
      if (told === undefined || checkRow(row, undefined, verifier).length > 0) continue
      const { by, fingerprint, reason, revokedAtMs } = told.metadata
      if (found.has(fingerprint)) continue
      found.set(fingerprint, { reason, revokedBy: by, revokedAtMs: revokedAtMs ?? row.atMs, eventId: row.id })
    }
    return found
  })

/** The key with the earlier of both ends, that of the registry and that of the log. */
export const heed = (key: AgentKey, logged: LoggedRevocations): AgentKey => {
  const told = logged.get(key.fingerprint)
  if (told === undefined || (key.revocation !== null && key.revocation.revokedAtMs <= told.revokedAtMs)) return key
  return { ...key, revocation: told }
}

const mostRead = 10_000

const Told = Schema.Struct({
  fingerprint: Schema.String,
  reason: Schema.String,
  by: Schema.String,
  revokedAtMs: Schema.NullOr(Schema.Number)
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ metadata: Told })))
