import { Option } from "effect"
import { Hex } from "effect/encoding"
import type { ChainBreak, ChainProblem } from "./ChainReport.ts"
import type { AuditDraft, ChainHead, ChainRow } from "./Envelope.ts"
import { parseEnvelope } from "./EnvelopeText.ts"
import type { AgentId, ChainId, KeyId } from "./Ids.ts"
import { isoOf } from "./Instant.ts"
import { localFailure, type SignatureVerdict } from "./SignatureStatus.ts"

/** What stands before the canonical text in each of its three proofs, so that one can never be taken for another (A-11). */
export const labels = {
  hash: "effect-governance/audit/v1/hash\n",
  mac: "effect-governance/audit/v1/hmac\n",
  signature: "effect-governance/audit/v1/signature\n"
} as const

/** Turns text (as UTF-8) into bytes: SHA-256, an HMAC or a signature. Synchronous, so that one copy serves every platform. */
export type Digest = (text: string) => Uint8Array

/** What a row is sealed with. `mac` is HMAC-SHA-256 under the audit sub-key of `keyId`. */
export interface RowKeys {
  readonly keyId: KeyId
  readonly hash: Digest
  readonly mac: Digest
  readonly signer: RowSigner | null
  /** Who signs for an agent, in place of `signer`. Left out where nobody signs. */
  readonly signerOf?: ((agent: AgentId) => RowSigner | null) | undefined
}

/** Without `sign` the row says that its writer could not sign: `fingerprint` is `localFailure` then. */
export interface RowSigner {
  readonly fingerprint: string
  readonly sign: Digest | null
}

/** What a row is checked with. Without `macFor` only columns, hashes and links are checked, which needs no secret (DEC-04). */
export interface Verifier {
  readonly hash: Digest
  readonly macFor: ((keyId: KeyId) => Digest | undefined) | null
  /** Undefined: this verifier knows no signing keys, so a signature that is present is left unjudged. */
  readonly signature?:
    | ((fingerprint: string, text: string, signature: Uint8Array, row: ChainRow) => SignatureVerdict)
    | undefined
}

/** The head of a chain that has no rows. */
export const genesis: ChainHead = { seq: 0, hash: null, atMs: 0 }

export const headOf = (row: ChainRow): ChainHead => ({ seq: row.seq, hash: row.hash, atMs: row.atMs })

/** Gives a draft its place after `head`: canonical text (RFC 8785), hash, HMAC and, with a signer, the signature. */
export const seal = (draft: AuditDraft, head: ChainHead, keys: RowKeys): ChainRow => {
  const seq = head.seq + 1
  const atMs = Math.max(draft.atMs, head.atMs)
  const { chain, id, agent, session, parent, kind, model, inputHash, outputHash } = draft
  const by = keys.signerOf === undefined ? keys.signer : keys.signerOf(agent)
  const signer = by === null ? null : by.fingerprint
  const canonical =
    `${start(agent, isoOf(atMs), chain, id)}${text(inputHash)}${middle(keys.keyId, kind)}${draft.metadataText}` +
    `,"model":${text(model)},"outputHash":${text(outputHash)}${end(parent, head.hash, seq, session, signer)}`
  return {
    chain,
    seq,
    id,
    atMs,
    agent,
    session,
    parent,
    kind,
    keyId: keys.keyId,
    signer,
    canonical,
    hash: keys.hash(labels.hash + canonical),
    prev: head.hash,
    hmac: keys.mac(labels.mac + canonical),
    signature: by === null || by.sign === null ? null : by.sign(labels.signature + canonical)
  }
}

/**
 * Every way in which a row contradicts itself or its predecessor. `previous`: null before the first row of a chain, undefined
 * where a range begins and the link cannot be judged.
 */
export const checkRow = (
  row: ChainRow,
  previous: { readonly seq: number; readonly hash: Uint8Array | null } | null | undefined,
  verifier: Verifier
): ReadonlyArray<ChainBreak> => {
  const breaks: Array<ChainBreak> = []
  const found = (problem: ChainProblem, column?: string) =>
    breaks.push({ chain: row.chain, seq: row.seq, problem, ...(column === undefined ? {} : { column }) })
  const { canonical } = row

  if (!tellsTheColumns(row)) {
    const columns = differing(row)
    if (columns === null) found("text")
    else for (const column of columns) found("column", column)
  }
  // UTF-8 turns every lone surrogate into U+FFFD, so two texts that differ there alone would share a hash.
  if (!canonical.isWellFormed() || !sameBytes(verifier.hash(labels.hash + canonical), row.hash)) found("hash")

  if (previous !== undefined) {
    if (row.seq !== (previous?.seq ?? 0) + 1) found("gap")
    if (!sameNullable(row.prev, previous?.hash ?? null)) found("link")
  }

  if (verifier.macFor !== null) {
    const mac = verifier.macFor(row.keyId)
    if (mac === undefined) found("unknownKey")
    else if (!sameBytes(mac(labels.mac + canonical), row.hmac)) found("hmac")
  }

  if (row.signer === null || row.signer === localFailure) {
    if (row.signature !== null) found("signature")
  } else if (row.signature === null) found("signature")
  else if (verifier.signature !== undefined) {
    const verdict = verifier.signature(row.signer, labels.signature + canonical, row.signature, row)
    if (verdict !== "valid") found(problemOf[verdict])
  }
  return breaks
}

const problemOf = { invalid: "signature", revoked: "revokedKey", unknown: "unknownSigner" } as const

/** Compares without stopping early; lengths are no secret (K-13). */
export const sameBytes = (left: Uint8Array, right: Uint8Array): boolean => {
  if (left.length !== right.length) return false
  let difference = 0
  for (let i = 0; i < left.length; i++) difference |= left[i]! ^ right[i]!
  return difference === 0
}

const sameNullable = (left: Uint8Array | null, right: Uint8Array | null) =>
  left === null || right === null ? left === right : sameBytes(left, right)

// Identifiers are well formed once decoded, and for well-formed strings JSON.stringify is what RFC 8785 prescribes.
const text = (value: string | null) => (value === null ? "null" : JSON.stringify(value))

/** The rows of a chain repeat their names: what was rendered last is most often wanted next. */
const repeated = (render: (value: string | null) => string) => {
  let last: string | null | undefined
  let rendered = ""
  return (value: string | null): string => {
    if (value !== last) {
      last = value
      rendered = render(value)
    }
    return rendered
  }
}
const agentText = repeated(text)
const chainText = repeated(text)
const sessionText = repeated(text)
const keyText = repeated(text)

const start = (agent: string, at: string, chain: ChainId, id: string) =>
  `{"agent":${agentText(agent)},"at":"${at}","chain":${chainText(chain)},"id":${JSON.stringify(id)},"inputHash":`

const middle = (keyId: string, kind: string) => `,"keyId":${keyText(keyId)},"kind":${JSON.stringify(kind)},"metadata":`

const end = (
  parent: string | null,
  prev: Uint8Array | null,
  seq: number,
  session: string | null,
  signer: string | null
) =>
  `,"parent":${text(parent)},"prev":${prev === null ? "null" : `"${Hex.encode(prev)}"`},"seq":${seq},` +
  `"session":${sessionText(session)},"signer":${text(signer)},"v":1}`

const maxInstant = 8.64e15
const quote = 0x22
const backslash = 0x5c

/** The columns fix the beginning, the end and one stretch between; the order of keys is canonical, so nothing need be parsed. */
const tellsTheColumns = (row: ChainRow): boolean => {
  const { canonical } = row
  if (!Number.isInteger(row.atMs) || Math.abs(row.atMs) > maxInstant || !Number.isInteger(row.seq)) return false
  const first = start(row.agent, isoOf(row.atMs), row.chain, row.id)
  const last = end(row.parent, row.prev, row.seq, row.session, row.signer)
  if (canonical.slice(0, first.length) !== first || canonical.slice(-last.length) !== last) return false
  const afterInputHash = endOfText(canonical, first.length)
  const between = middle(row.keyId, row.kind)
  const metadata = afterInputHash + between.length
  return canonical.slice(afterInputHash, metadata) === between && canonical.length > metadata + last.length
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
const differing = (row: ChainRow): ReadonlyArray<string> | null => {
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
