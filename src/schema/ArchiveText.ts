import { Option, Result, Schema } from "effect"
import { Hex } from "effect/encoding"
import { type Digest, labels, sameBytes } from "./Chain.ts"
import { leafHashOf } from "./Checkpoint.ts"
import type { ChainRow } from "./Envelope.ts"
import { parseEnvelope } from "./EnvelopeText.ts"
import { rootOf, type Sha256 } from "./Merkle.ts"
import type { Segment } from "./Retention.ts"

const ArchivedRow = Schema.Struct({
  chain: Schema.String,
  seq: Schema.Int,
  id: Schema.String,
  canonical: Schema.String,
  hash: Schema.String,
  prev: Schema.NullOr(Schema.String),
  hmac: Schema.String,
  signer: Schema.NullOr(Schema.String),
  signature: Schema.NullOr(Schema.String)
})
const decodeLine = Schema.decodeUnknownOption(Schema.fromJsonString(ArchivedRow))

/** One line of an archive: a row as it was stored, the same as in an evidence bundle. */
export const archiveLine = ({ canonical, chain, hash, hmac, id, prev, seq, signature, signer }: ChainRow): string =>
  `${JSON.stringify({
    chain,
    seq,
    id,
    canonical,
    hash: Hex.encode(hash),
    prev: prev === null ? null : Hex.encode(prev),
    hmac: Hex.encode(hmac),
    signer,
    signature: signature === null ? null : Hex.encode(signature)
  })}\n`

/**
 * Why these lines are not the rows that a seal was made of; null when they are. Needs no secret: the root stands in the log,
 * each hash in the root, and each text is recomputed to its hash. Lines of other segments are passed over.
 */
export const archiveProblem = (
  lines: Iterable<string>,
  segment: Segment,
  { hash, sha }: { readonly hash: Digest; readonly sha: Sha256 }
): string | null => {
  const leaves: Array<Uint8Array> = []
  for (const line of lines) {
    if (line === "") continue
    const row = Option.getOrUndefined(decodeLine(line))
    if (row === undefined) return "a line is no archived row"
    if (row.chain !== segment.chain || row.seq < segment.fromSeq || row.seq > segment.toSeq) continue
    const expected = segment.fromSeq + leaves.length
    if (row.seq !== expected) return `row ${expected} is missing`
    const named = Result.getOrUndefined(Hex.decode(row.hash))
    if (named === undefined || !sameBytes(hash(labels.hash + row.canonical), named)) return `row ${row.seq} was changed`
    const envelope = Option.getOrUndefined(parseEnvelope(row.canonical))
    if (envelope?.chain !== row.chain || envelope.seq !== row.seq) return `row ${row.seq} was changed`
    leaves.push(leafHashOf({ chain: row.chain, seq: row.seq, hash: named }, sha))
  }
  if (leaves.length !== segment.toSeq - segment.fromSeq + 1) return `row ${segment.fromSeq + leaves.length} is missing`
  return Hex.encode(rootOf(leaves, sha)) === segment.root ? null : "the rows are not those that were sealed"
}
