import { Duration, Option, Schema } from "effect"
import { Hex } from "effect/encoding"
import { leafHashOf } from "./Checkpoint.ts"
import type { ChainRow } from "./Envelope.ts"
import { EnvelopeText } from "./EnvelopeText.ts"
import { ChainId } from "./Ids.ts"
import { rootOf, type Sha256 } from "./Merkle.ts"

/** What the law asks for automatic logs of high-risk systems is six months (CMP-15); nothing younger goes without being asked. */
export const minimumRetention = Duration.days(183)

const Digest = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))

/**
 * A stretch of a chain that may be pruned and is still proved. `root` is the RFC 6962 root over its rows as checkpoints
 * have them for leaves; with `firstPrev` and `lastHash` the rest of the chain stays linked. Digests in hex.
 */
export const Segment = Schema.Struct({
  chain: ChainId,
  fromSeq: Schema.Int.check(Schema.isGreaterThan(0)),
  toSeq: Schema.Int.check(Schema.isGreaterThan(0)),
  firstPrev: Schema.NullOr(Digest),
  lastHash: Digest,
  root: Digest
})
export type Segment = typeof Segment.Type

/** The segment that consecutive rows of one chain make. The rows MUST have been verified. */
export const segmentOf = (rows: readonly [ChainRow, ...ReadonlyArray<ChainRow>], sha: Sha256): Segment => {
  const [first] = rows
  const last = rows[rows.length - 1] ?? first
  return {
    chain: first.chain,
    fromSeq: first.seq,
    toSeq: last.seq,
    firstPrev: first.prev === null ? null : Hex.encode(first.prev),
    lastHash: Hex.encode(last.hash),
    root: Hex.encode(
      rootOf(
        rows.map((row) => leafHashOf(row, sha)),
        sha
      )
    )
  }
}

export const sameSegment = (left: Segment, right: Segment): boolean =>
  left.chain === right.chain &&
  left.fromSeq === right.fromSeq &&
  left.toSeq === right.toSeq &&
  left.firstPrev === right.firstPrev &&
  left.lastHash === right.lastHash &&
  left.root === right.root

/** Kinds of the two rows in chain `operator`. The second names the first: a sealed row that nobody pruned must still be there. */
export const sealedKind = "audit.segment_sealed"
export const prunedKind = "audit.segment_pruned"

/** What the row of a seal says; more may stand beside it. */
export const SealText = Schema.fromJsonString(Schema.Struct({ ...EnvelopeText.fields, metadata: Segment }))
export const PrunedText = Schema.fromJsonString(
  Schema.Struct({ ...EnvelopeText.fields, metadata: Schema.Struct({ ...Segment.fields, seal: Schema.String }) })
)

const decodeSeal = Schema.decodeUnknownOption(SealText)
const decodePruned = Schema.decodeUnknownOption(PrunedText)

export const sealOf = (row: ChainRow): Option.Option<Segment> =>
  row.kind === sealedKind ? Option.map(decodeSeal(row.canonical), ({ metadata }) => metadata) : Option.none()
export const prunedOf = (row: ChainRow): Option.Option<Segment & { readonly seal: string }> =>
  row.kind === prunedKind ? Option.map(decodePruned(row.canonical), ({ metadata }) => metadata) : Option.none()
