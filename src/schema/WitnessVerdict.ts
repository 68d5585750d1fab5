import { Result, Schema } from "effect"
import { Base64, Hex } from "effect/encoding"
import { sameBytes } from "./Chain.ts"
import { type CheckpointLeaf, leafHashOf, type NoteCrypto, noteStatus, parseCheckpoint } from "./Checkpoint.ts"
import { appendLeaves, emptyFrontier, type Frontier, isFrontier, rootOfFrontier, verifyConsistency } from "./Merkle.ts"
import { parseVerifierKey } from "./SignedNote.ts"

/** A checkpoint as somebody shows it to a witness, with what proves that the log has only grown since the last one. */
export interface ShownCheckpoint {
  readonly note: string
  /** `name+hash+base64`: whose signature it carries. */
  readonly verifierKey: string
  /** The size that the proof or the leaves begin at: what the witness is believed to hold. */
  readonly oldSize: number
  /** Hashes of RFC 6962, Base64. */
  readonly proof: ReadonlyArray<string> | null
  readonly leaves: ReadonlyArray<ShownLeaf> | null
  /** Of the first checkpoint of a log: peaks of its tree, so that leaves can be added to it. */
  readonly peaks?: ReadonlyArray<Uint8Array> | null
}

/** A leaf, or only its hash of RFC 6962, where its chain is nothing that may leave or there are too many. */
export type ShownLeaf = CheckpointLeaf | { readonly leafHash: Uint8Array }

/** What the witness holds of that log already. */
export interface HeldCheckpoint {
  readonly verifierKey: string
  readonly size: number
  readonly root: Uint8Array
  readonly frontier: Frontier | null
}

export const WitnessProblem = Schema.Literals([
  "unreadable",
  "bad_signature",
  "other_key",
  "rolled_back",
  "forked",
  "inconsistent",
  "chain_went_back"
])
export type WitnessProblem = typeof WitnessProblem.Type

/** What an adoption can answer for. That somebody used another key or broke a signature stays open. */
export const isAnswerable = (problem: string): boolean =>
  ["rolled_back", "forked", "inconsistent", "chain_went_back"].includes(problem)

export type WitnessVerdict =
  | {
      readonly _tag: "Consistent"
      readonly origin: string
      readonly size: number
      readonly root: Uint8Array
      readonly frontier: Frontier | null
      /** False for the one that is held already. */
      readonly isNew: boolean
    }
  /** Shown from another size than the witness holds: prove it again from `size` (C2SP tlog-witness, 409). */
  | { readonly _tag: "Stale"; readonly size: number }
  | { readonly _tag: "Refused"; readonly problem: WitnessProblem; readonly origin: string | null }

/**
 * Whether a checkpoint continues what is held (BEY-04, P-04): signed by the key of the first one, not smaller, equal where it has
 * the same size, and proved by a consistency proof or by every leaf since. A smaller one is a log that went back only if whoever
 * shows it knows what is held; else it may be late, behind a faster process of the same deployment.
 */
export const judgeShown = (shown: ShownCheckpoint, held: HeldCheckpoint | null, crypto: NoteCrypto): WitnessVerdict => {
  const parsed = Result.getOrUndefined(parseCheckpoint(shown.note))
  const key = Result.getOrUndefined(parseVerifierKey(shown.verifierKey, crypto.sha))
  if (parsed === undefined || key === undefined) return refused("unreadable", null)
  const { body } = parsed
  // A key signs the log of its own name: nobody can pin a log for somebody else.
  if (key.name !== body.origin) return refused("other_key", body.origin)
  const status = noteStatus(parsed, key, crypto)
  if (status === "badSignature") return refused("bad_signature", body.origin)
  if (status === "otherKey" || (held !== null && held.verifierKey !== shown.verifierKey)) {
    return refused("other_key", body.origin)
  }
  const from = held ?? { size: 0, root: rootOfFrontier(emptyFrontier, crypto.sha), frontier: emptyFrontier }
  const found = { _tag: "Consistent", origin: body.origin, size: body.size, root: body.root } as const
  if (body.size < from.size) {
    return shown.oldSize === from.size ? refused("rolled_back", body.origin) : { _tag: "Stale", size: from.size }
  }
  if (held !== null && body.size === from.size) {
    return sameBytes(body.root, from.root)
      ? { ...found, frontier: from.frontier, isNew: false }
      : refused("forked", body.origin)
  }
  if (shown.oldSize !== from.size) return { _tag: "Stale", size: from.size }
  if (shown.leaves !== null && from.frontier !== null) {
    const hashes = shown.leaves.map((leaf) => ("leafHash" in leaf ? leaf.leafHash : leafHashOf(leaf, crypto.sha)))
    const frontier = appendLeaves(from.frontier, hashes, crypto.sha)
    return frontier.size === body.size && sameBytes(rootOfFrontier(frontier, crypto.sha), body.root)
      ? { ...found, frontier, isNew: true }
      : refused("inconsistent", body.origin)
  }
  // Nothing contradicts the first checkpoint of a log, and nothing proves it either: it is what the next ones are held against.
  if (from.size === 0) {
    const frontier = { size: body.size, peaks: shown.peaks ?? [] }
    if (!isFrontier(frontier)) return { ...found, frontier: null, isNew: true }
    return sameBytes(rootOfFrontier(frontier, crypto.sha), body.root)
      ? { ...found, frontier, isNew: true }
      : refused("inconsistent", body.origin)
  }
  const proof = hashesOf(shown.proof ?? [])
  const claim = { from: from.size, to: body.size, fromRoot: from.root, toRoot: body.root }
  return proof !== null && verifyConsistency({ ...claim, proof }, crypto.sha)
    ? { ...found, frontier: null, isNew: true }
    : refused("inconsistent", body.origin)
}

/** The chain that a leaf puts back, or to another row at the same place, if any does. */
export const chainThatWentBack = (
  leaves: ReadonlyArray<CheckpointLeaf>,
  known: ReadonlyArray<{ readonly chain: string; readonly seq: number; readonly hash: string }>
): string | undefined => {
  const last = new Map(known.map(({ chain, hash, seq }) => [chain, { seq, hash }]))
  for (const { chain, hash, seq } of leaves) {
    const before = last.get(chain)
    const text = Hex.encode(hash)
    if (before !== undefined && (seq < before.seq || (seq === before.seq && text !== before.hash))) return chain
    last.set(chain, { seq, hash: text })
  }
  return undefined
}

const refused = (problem: WitnessProblem, origin: string | null): WitnessVerdict => ({
  _tag: "Refused",
  problem,
  origin
})

const hashesOf = (proof: ReadonlyArray<string>): ReadonlyArray<Uint8Array> | null => {
  const decoded = proof.map((text) => Result.getOrUndefined(Base64.decode(text)))
  return decoded.every((bytes) => bytes !== undefined) ? decoded : null
}
