import { canonicalText, differing, tellsTheColumns } from "./CanonicalText.ts"
import type { ChainBreak, ChainProblem } from "./ChainReport.ts"
import type { AuditDraft, ChainHead, ChainRow } from "./Envelope.ts"
import type { AgentId, KeyId } from "./Ids.ts"
import { localFailure, type SignatureVerdict } from "./SignatureStatus.ts"

/** What stands before the canonical text in each of its three proofs, so that one can never be taken for another. */
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
  const { chain, id, agent, session, parent, kind } = draft
  const by = keys.signerOf === undefined ? keys.signer : keys.signerOf(agent)
  const signer = by === null ? null : by.fingerprint
  const canonical = canonicalText(draft, { atMs, keyId: keys.keyId, prev: head.hash, seq, signer })
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
  let breaks: Array<ChainBreak> | undefined
  const found = (problem: ChainProblem, column?: string) => {
    breaks ??= []
    breaks.push({ chain: row.chain, seq: row.seq, problem, ...(column === undefined ? {} : { column }) })
  }
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
  return breaks ?? none
}

const none: ReadonlyArray<ChainBreak> = []

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
