import { Option } from "effect"
import { Hex } from "effect/encoding"
import type { AuditDraft, ChainRow } from "./Envelope.ts"
import { parseEnvelope } from "./EnvelopeText.ts"
import type { KeyId } from "./Ids.ts"
import { isoOf } from "./Instant.ts"

// Identifiers are well formed once decoded, and for well-formed strings JSON.stringify is what RFC 8785 prescribes.
const text = (value: string | null) => (value === null ? "null" : JSON.stringify(value))

/** The rows of a chain repeat their names: what was rendered last is most often wanted next. */
const repeated = (before: string, after: string) => {
  let last: string | null | undefined
  let rendered = ""
  return (value: string | null): string => {
    if (value !== last) {
      last = value
      rendered = before + text(value) + after
    }
    return rendered
  }
}

// The pieces of the canonical text, each with the names of the next. Between them: at, id, inputHash, metadata to outputHash,
// prev, seq.
const agentPart = repeated('{"agent":', ',"at":"')
const chainPart = repeated('","chain":', ',"id":"')
const idEnd = '","inputHash":'
const keyPart = repeated(',"keyId":', ',"kind":')
const kindPart = repeated("", ',"metadata":')
const parentPart = repeated(',"parent":', ',"prev":')
const sessionPart = repeated(',"session":', ',"signer":')
const signerPart = repeated("", ',"v":1}')

/** What a row gets from the head that it follows and from the keys that it is sealed with. */
interface Place {
  readonly atMs: number
  readonly keyId: KeyId
  readonly prev: Uint8Array | null
  readonly seq: number
  readonly signer: string | null
}

/** The text that is hashed, and from which every column can be told again. */
export const canonicalText = (draft: AuditDraft, { atMs, keyId, prev, seq, signer }: Place): string =>
  `${agentPart(draft.agent)}${isoOf(atMs)}${chainPart(draft.chain)}${draft.id}${idEnd}${text(draft.inputHash)}` +
  `${keyPart(keyId)}${kindPart(draft.kind)}${draft.metadataText},"model":${text(draft.model)},"outputHash":${text(draft.outputHash)}` +
  `${parentPart(draft.parent)}${prev === null ? "null" : `"${Hex.encode(prev)}"`},"seq":${seq}${sessionPart(draft.session)}${signerPart(signer)}`

const maxInstant = 8.64e15
const quote = 0x22
const backslash = 0x5c
const hexDigits = "0123456789abcdef"

/**
 * The columns fix the beginning, the end and one stretch between; the order of keys is canonical, so nothing need be parsed.
 * Piece by piece: a text made of all of them would be copied for each row, only to be compared.
 */
export const tellsTheColumns = (row: ChainRow): boolean => {
  const { canonical, prev } = row
  if (!Number.isInteger(row.atMs) || Math.abs(row.atMs) > maxInstant || !Number.isInteger(row.seq)) return false
  let at = past(canonical, 0, agentPart(row.agent))
  at = past(canonical, at, isoOf(row.atMs))
  at = past(canonical, at, chainPart(row.chain))
  at = past(canonical, at, row.id)
  at = past(canonical, at, idEnd)
  at = past(canonical, endOfText(canonical, at), keyPart(row.keyId))
  at = past(canonical, at, kindPart(row.kind))

  const parent = parentPart(row.parent)
  const seq = `,"seq":${row.seq}`
  const session = sessionPart(row.session)
  const signer = signerPart(row.signer)
  const prevLength = prev === null ? 4 : 2 * prev.length + 2
  const end = canonical.length - parent.length - prevLength - seq.length - session.length - signer.length
  if (at === -1 || end <= at) return false
  at = past(canonical, end, parent)
  at = prev === null ? past(canonical, at, "null") : pastHex(canonical, at, prev)
  at = past(canonical, at, seq)
  at = past(canonical, at, session)
  return past(canonical, at, signer) === canonical.length
}

/** Where `part` ends if it stands in the text at `at`, else -1; -1 stays what it is. */
const past = (canonical: string, at: number, part: string): number => {
  const end = at + part.length
  return at !== -1 && canonical.slice(at, end) === part ? end : -1
}

/** The same for bytes in quoted lower-case hex. */
const pastHex = (canonical: string, at: number, bytes: Uint8Array): number => {
  if (at === -1 || canonical.charCodeAt(at) !== quote) return -1
  let next = at + 1
  for (const byte of bytes) {
    if (canonical.charCodeAt(next++) !== hexDigits.charCodeAt(byte >> 4)) return -1
    if (canonical.charCodeAt(next++) !== hexDigits.charCodeAt(byte & 15)) return -1
  }
  return canonical.charCodeAt(next) === quote ? next + 1 : -1
}

/** Where `null` or the JSON string that begins at `from` ends; -1 when neither does. */
const endOfText = (canonical: string, from: number): number => {
  if (canonical.startsWith("null", from)) return from + 4
  if (canonical.charCodeAt(from) !== quote) return -1
  for (let i = from + 1; i < canonical.length; i++) {
    const unit = canonical.charCodeAt(i)
    if (unit === backslash) i++
    else if (unit === quote) return i + 1
  }
  return -1
}

/** The columns that contradict the text, or null when the text is no envelope. Only asked once something is wrong. */
export const differing = (row: ChainRow): ReadonlyArray<string> | null => {
  const parsed = parseEnvelope(row.canonical)
  if (Option.isNone(parsed)) return null
  const envelope = parsed.value
  const validAt = Number.isInteger(row.atMs) && Math.abs(row.atMs) <= maxInstant
  const columns: ReadonlyArray<readonly [column: string, stored: unknown, written: unknown]> = [
    ["agent", row.agent, envelope.agent],
    ["at", validAt ? isoOf(row.atMs) : row.atMs, envelope.at],
    ["chain", row.chain, envelope.chain],
    ["id", row.id, envelope.id],
    ["keyId", row.keyId, envelope.keyId],
    ["kind", row.kind, envelope.kind],
    ["parent", row.parent, envelope.parent],
    ["prev", row.prev === null ? null : Hex.encode(row.prev), envelope.prev],
    ["seq", row.seq, envelope.seq],
    ["session", row.session, envelope.session],
    ["signer", row.signer, envelope.signer]
  ]
  const names = columns.flatMap(([column, stored, written]) => (stored === written ? [] : [column]))
  return names.length === 0 ? null : names
}
