import type { AgentId, ChainId, EventId, KeyId, SessionId } from "./Ids.ts"

/**
 * An event that has been decoded, capped and made storable, but has no place in a chain yet. `metadataText` is canonical
 * JSON, rendered once: retries, spool and copies carry the same bytes.
 */
export interface AuditDraft {
  readonly chain: ChainId
  readonly id: EventId
  /** Milliseconds since the epoch by the writer's clock; clamped to the head's when the row is sealed. */
  readonly atMs: number
  readonly agent: AgentId
  readonly session: SessionId | null
  readonly parent: EventId | null
  readonly kind: string
  readonly model: string | null
  readonly inputHash: string | null
  readonly outputHash: string | null
  readonly metadataText: string
}

/** The last row of a chain, as far as an append must know it. `hash` is null before the first row. */
export interface ChainHead {
  readonly seq: number
  readonly hash: Uint8Array | null
  readonly atMs: number
}

/** A row as stored. `canonical` is the only copy of the event and what hash, hmac and signature cover (DEC-04). */
export interface ChainRow {
  readonly chain: ChainId
  readonly seq: number
  readonly id: EventId
  readonly atMs: number
  readonly agent: AgentId
  readonly session: SessionId | null
  readonly parent: EventId | null
  readonly kind: string
  readonly keyId: KeyId
  readonly signer: string | null
  readonly canonical: string
  readonly hash: Uint8Array
  readonly prev: Uint8Array | null
  readonly hmac: Uint8Array
  readonly signature: Uint8Array | null
}
