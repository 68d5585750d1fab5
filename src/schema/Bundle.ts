import { Schema } from "effect"
import { Hex } from "effect/encoding"
import { canonicalize } from "./CanonicalJson.ts"
import type { Digest } from "./Chain.ts"
import { ChainResult } from "./ChainReport.ts"
import { ChainIntegrityStatus, CoveredCheckpoint } from "./ComplianceReport.ts"
import type { ChainRow } from "./Envelope.ts"
import type { JsonObject } from "./Json.ts"

/** What stands before the signed text of a bundle in each of its proofs, so that none can be taken for another. */
export const bundleLabels = {
  hash: "effect-governance/bundle/v1/hash\n",
  mac: "effect-governance/bundle/v1/hmac\n",
  signature: "effect-governance/bundle/v1/signature\n",
  /** Names an Ed25519 key: SHA-256 of this and the key's 64 hex digits. */
  checkpointKey: "effect-governance/checkpoint-key/v1/fingerprint\n"
} as const

/** `zip`: an archive, with pages for people. `json`: one line of JSON, for programs (CMP-12). */
export const BundleForm = Schema.Literals(["zip", "json"])
export type BundleForm = typeof BundleForm.Type

/** Every file of a bundle but the manifest; `checkpoint.txt` only where a checkpoint covers the rows. */
export const bundleFiles: Readonly<Record<BundleForm, ReadonlyArray<string>>> = {
  zip: [
    "checkpoint.txt",
    "cover.html",
    "events.jsonl",
    "keys.json",
    "proofs.json",
    "report.html",
    "report.json",
    "report.md"
  ],
  json: ["chainVerification.json", "checkpoint.txt", "events.jsonl", "keys.json", "proofs.json", "report.json"]
}
export const manifestName = "manifest.json"

const Digest256 = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
const HexText = Schema.String.check(Schema.isPattern(/^(?:[0-9a-f]{2})+$/))
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const optionalText = Schema.NullOr(Schema.String)

export const SignatureAlgorithm = Schema.Literals(["Ed25519", "HMAC-SHA256"])
const SignedBy = Schema.Struct({ algorithm: SignatureAlgorithm, keyFingerprint: Digest256 })
export type SignedBy = typeof SignedBy.Type

/** One chain of the bundle: rows `firstSeq` to `lastSeq`. 0 rows: the chain is known, and all of it was pruned or is missing. */
export const BundleChain = Schema.Struct({ chain: Schema.String, firstSeq: Count, lastSeq: Count, rows: Count })
export type BundleChain = typeof BundleChain.Type

export const BundleFacts = Schema.Struct({
  format: Schema.Literal("effect-governance/bundle"),
  version: Schema.Literal(1),
  deploymentId: optionalText,
  createdAt: optionalText,
  scope: Schema.Struct({
    agentId: optionalText,
    sessionIds: Schema.NullOr(Schema.Array(Schema.String)),
    from: optionalText,
    to: optionalText
  }),
  chains: Schema.Array(BundleChain),
  rows: Count,
  covers: Schema.NullOr(CoveredCheckpoint),
  notCovered: Schema.Array(Schema.String),
  reportId: Digest256,
  chainIntegrityStatus: ChainIntegrityStatus,
  chainVerificationError: optionalText,
  files: Schema.Array(Schema.Struct({ name: Schema.String, bytes: Count, sha256: Digest256 })),
  /** Every signature that MUST be there: one that was taken away is missed (CMP-12). */
  signedBy: Schema.Array(SignedBy)
})
export type BundleFacts = typeof BundleFacts.Type

export const BundleSignature = Schema.Struct({ ...SignedBy.fields, hash: Digest256, signature: HexText })
export type BundleSignature = typeof BundleSignature.Type

/** `manifest.json`: one line of RFC 8785 JSON. */
export const BundleManifest = Schema.Struct({ bundle: BundleFacts, signatures: Schema.Array(BundleSignature) })
export type BundleManifest = typeof BundleManifest.Type

/** A line of `events.jsonl`. What an event says stands in `canonical` alone; digests in hex. */
export const BundleRow = Schema.Struct({
  canonical: Schema.String,
  chain: Schema.String,
  hash: Digest256,
  hmac: Digest256,
  id: Schema.String,
  prev: Schema.NullOr(Digest256),
  seq: Schema.Int,
  signature: Schema.NullOr(HexText),
  signer: optionalText
})
export type BundleRow = typeof BundleRow.Type

export const BundleAgentKey = Schema.Struct({
  agent: Schema.String,
  fingerprint: Digest256,
  publicKey: Digest256,
  activationSeq: Schema.Int,
  registeredAtMs: Schema.Int,
  /** Rows with a later `at` are not valid under this key. */
  revokedAtMs: Schema.NullOr(Schema.Int)
})
export type BundleAgentKey = typeof BundleAgentKey.Type

/** `keys.json`. `checkpoint`: the key that signed note and manifest, as C2SP verifier key and as 32 bytes in hex. */
export const BundleKeys = Schema.Struct({
  agents: Schema.Array(BundleAgentKey),
  checkpoint: Schema.NullOr(Schema.Struct({ fingerprint: Digest256, publicKey: Digest256, verifierKey: Schema.String }))
})
export type BundleKeys = typeof BundleKeys.Type

export const BundleLeaf = Schema.Struct({
  chain: Schema.String,
  hash: Digest256,
  index: Count,
  proof: Schema.Array(Digest256),
  seq: Count
})

/** `proofs.json`: the last leaf of each chain in the tree of the checkpoint; null without a checkpoint. */
export const BundleProofs = Schema.NullOr(
  Schema.Struct({ leaves: Schema.Array(BundleLeaf), origin: Schema.String, root: Digest256, size: Count })
)
export type BundleProofs = typeof BundleProofs.Type

/** What verification found when the bundle was made, chain by chain (CMP-12). Status and error stand in the facts. */
export const BundleVerification = Schema.Struct({
  /** False when no audit secret was at hand: who wrote the rows was not judged. */
  authenticated: Schema.Boolean,
  /** All of them; `findings` has the first. */
  breaks: Count,
  chains: Schema.Array(ChainResult),
  findings: Schema.Array(Schema.String)
})
export type BundleVerification = typeof BundleVerification.Type

/** What each signature covers: the facts, and beside them the algorithm and key that claim to have signed (CMP-12). */
export const signedText = (bundle: BundleFacts, { algorithm, keyFingerprint }: SignedBy): string =>
  canonicalize({ algorithm, bundle, keyFingerprint })

export const fingerprintUnder = (label: string, publicKey: Uint8Array, hash: Digest): string =>
  Hex.encode(hash(label + Hex.encode(publicKey)))

/** A row as the bundle carries it. */
export const bundleLine = (row: ChainRow): string => {
  const line: JsonObject = {
    canonical: row.canonical.toWellFormed(),
    chain: row.chain.toWellFormed(),
    hash: Hex.encode(row.hash),
    hmac: Hex.encode(row.hmac),
    id: row.id,
    prev: row.prev === null ? null : Hex.encode(row.prev),
    seq: row.seq,
    signature: row.signature === null ? null : Hex.encode(row.signature),
    signer: row.signer
  }
  return `${canonicalize(line)}\n`
}
