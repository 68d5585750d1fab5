import { Hex } from "effect/encoding"
import { type CheckpointLeaf, leafHashOf } from "../schema/Checkpoint.ts"
import type { LogEntry } from "../schema/CheckpointEntry.ts"
import { standard } from "../schema/Redaction.ts"
import { sha256 } from "../services/CheckpointKey.ts"

/** One request: a signed checkpoint, and all leaves since what the witness has. */
export interface Piece {
  readonly oldSize: number
  readonly note: string
  readonly leaves: ReadonlyArray<object>
}

/**
 * As few requests as the witness takes: checkpoints that follow each other go together, the last of them with its note, 1000
 * leaves or 900 KiB at most. A checkpoint that alone is larger goes without the names of its chains.
 */
export const pieces = (entries: ReadonlyArray<LogEntry>): ReadonlyArray<Piece> => {
  const all: Array<Piece & { readonly length: number }> = []
  for (const entry of entries) {
    const note = entry._tag === "Checkpoint" ? entry.notes[0] : undefined
    if (entry._tag !== "Checkpoint" || note === undefined) continue
    const named = entry.leaves.map(shownOf)
    const tooLarge = lengthOf(named) > maxLength
    const leaves = tooLarge ? entry.leaves.map(hashOnly) : named
    const length = lengthOf(leaves)
    const last = all.at(-1)
    const follows = last !== undefined && last.oldSize + last.leaves.length === entry.previous
    if (follows && last.leaves.length + leaves.length <= maxLeaves && last.length + length <= maxLength) {
      all[all.length - 1] = {
        oldSize: last.oldSize,
        note,
        leaves: [...last.leaves, ...leaves],
        length: last.length + length
      }
    } else {
      all.push({ oldSize: entry.previous, note, leaves, length })
    }
  }
  return all
}

/** A chain is named after an agent or a session, which is text of a caller's: what looks like a secret does not leave. */
const shownOf = (leaf: CheckpointLeaf): object =>
  standard.text(leaf.chain) === leaf.chain
    ? { chain: leaf.chain, seq: leaf.seq, hash: Hex.encode(leaf.hash) }
    : hashOnly(leaf)

const hashOnly = (leaf: CheckpointLeaf): object => ({ leaf_hash: Hex.encode(leafHashOf(leaf, sha256)) })

const utf8 = new TextEncoder()
const lengthOf = (leaves: ReadonlyArray<object>): number => utf8.encode(JSON.stringify(leaves)).length

const maxLeaves = 1_000
/** In bytes, of the 1 MiB that a request may have. */
const maxLength = 900 * 1024
