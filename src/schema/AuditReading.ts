import { Option, Schema } from "effect"
import { Hex } from "effect/encoding"
import { AuditRecord, noHmac } from "./AuditRecord.ts"
import { canonicalize } from "./CanonicalJson.ts"
import type { AuditDraft, ChainRow } from "./Envelope.ts"
import { parseEnvelope } from "./EnvelopeText.ts"
import { unescape } from "./Escape.ts"
import type { KeyId } from "./Ids.ts"
import { isoOf } from "./Instant.ts"
import type { JsonObject, JsonValue } from "./Json.ts"

/** A stored row as readers see it. Where the text cannot be read the columns speak, and the metadata say so. */
export const recordOf = (row: ChainRow): AuditRecord => {
  const envelope = Option.getOrUndefined(parseEnvelope(row.canonical))
  const { delayedSince, metadata } = readMetadata(envelope === undefined ? unreadable : asJson(envelope.metadata))
  return make({
    ...columnsOf(row),
    model: envelope?.model ?? null,
    inputHash: envelope?.inputHash ?? null,
    outputHash: envelope?.outputHash ?? null,
    delayedSince,
    metadata
  })
}

/** The record of a row whose draft is at hand: nothing need be parsed but the metadata. */
export const recordOfStored = (row: ChainRow, draft: AuditDraft): AuditRecord => {
  const { delayedSince, metadata } = readMetadata(parsedMetadata(draft))
  return make({
    ...columnsOf(row),
    model: draft.model,
    inputHash: draft.inputHash,
    outputHash: draft.outputHash,
    delayedSince,
    metadata
  })
}

/** An event that is not in its chain yet, or never will be (AUD-08). */
export const recordOutside = (draft: AuditDraft, keyId: KeyId, status: "spooled" | "placeholder"): AuditRecord => {
  const { delayedSince, metadata } = readMetadata(parsedMetadata(draft))
  return make({
    status,
    id: draft.id,
    chain: draft.chain,
    seq: 0,
    at: isoOf(draft.atMs),
    delayedSince,
    kind: draft.kind,
    agentId: draft.agent,
    sessionId: draft.session,
    parentEventId: draft.parent,
    model: draft.model,
    inputHash: draft.inputHash,
    outputHash: draft.outputHash,
    metadata: status === "placeholder" ? { ...metadata, "audit.unavailable": true } : metadata,
    prevHash: null,
    hash: "",
    hmac: noHmac,
    keyId,
    signer: null,
    signature: null
  })
}

/** Marks a draft as one that reaches its chain late, with the moment it was logged. Callers' own `$` keys are escaped, so nobody can forge it (A-26). */
export const delayed = (draft: AuditDraft): AuditDraft => {
  const metadata = parsedMetadata(draft)
  return delayedKey in metadata
    ? draft
    : withMetadata(draft, canonicalize({ ...metadata, [delayedKey]: isoOf(draft.atMs) }))
}

/** Field by field: a draft may compute its fields, and what is computed is not copied by a spread. */
const withMetadata = (draft: AuditDraft, metadataText: string): AuditDraft => ({
  chain: draft.chain,
  id: draft.id,
  atMs: draft.atMs,
  agent: draft.agent,
  session: draft.session,
  parent: draft.parent,
  kind: draft.kind,
  model: draft.model,
  inputHash: draft.inputHash,
  outputHash: draft.outputHash,
  metadataText
})

/** Whether a stored row is this very event. Its place, its time, its key and its delay are not the event's own. */
export const isSameEvent = (row: ChainRow, draft: AuditDraft): boolean =>
  Option.match(parseEnvelope(row.canonical), {
    onNone: () => false,
    onSome: (envelope) =>
      envelope.chain === draft.chain &&
      envelope.id === draft.id &&
      envelope.agent === draft.agent &&
      envelope.session === draft.session &&
      envelope.parent === draft.parent &&
      envelope.kind === draft.kind &&
      envelope.model === draft.model &&
      envelope.inputHash === draft.inputHash &&
      envelope.outputHash === draft.outputHash &&
      canonicalize(withoutDelay(asJson(envelope.metadata))) === canonicalize(withoutDelay(parsedMetadata(draft)))
  })

const delayedKey = "$delayed"
const unreadable: JsonObject = { $unreadable: true }

// The values come from a stored row or a decoded draft: a constructor that parses them again would be the dearest part of a
// write. What it would return is made here, frozen as a record is.
const make = (fields: ConstructorParameters<typeof AuditRecord>[0]): AuditRecord =>
  Object.freeze(Object.assign(Object.create(AuditRecord.prototype), fields))

const columnsOf = (row: ChainRow) => ({
  status: "stored" as const,
  id: row.id,
  chain: row.chain,
  seq: row.seq,
  at: Number.isInteger(row.atMs) && Math.abs(row.atMs) <= 8.64e15 ? isoOf(row.atMs) : "",
  kind: row.kind,
  agentId: row.agent,
  sessionId: row.session,
  parentEventId: row.parent,
  prevHash: row.prev === null ? null : Hex.encode(row.prev),
  hash: Hex.encode(row.hash),
  hmac: Hex.encode(row.hmac),
  keyId: row.keyId,
  signer: row.signer,
  signature: row.signature === null ? null : Hex.encode(row.signature)
})

const readMetadata = (stored: JsonObject): { readonly delayedSince: string | null; readonly metadata: JsonObject } => {
  const since = stored[delayedKey]
  const metadata = unescape(withoutDelay(stored))
  return {
    delayedSince: typeof since === "string" ? since : null,
    metadata: isObject(metadata) ? metadata : { value: metadata }
  }
}

const withoutDelay = (metadata: JsonObject): JsonObject => {
  if (!(delayedKey in metadata)) return metadata
  const { [delayedKey]: _, ...rest } = metadata
  return rest
}

const parseJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

const parsedMetadata = (draft: AuditDraft): JsonObject =>
  Option.match(parseJson(draft.metadataText), { onNone: () => unreadable, onSome: asJson })

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const asJson = (value: unknown): JsonObject => (isObject(value) ? value : { value: isJson(value) ? value : null })

const isJson = (value: unknown): value is JsonValue => value !== undefined
