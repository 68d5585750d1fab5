import { Effect, Stream } from "effect"
import { sameBytes } from "../schema/Chain.ts"
import type { CheckpointLeaf } from "../schema/Checkpoint.ts"
import type { Adoption, LogEntry } from "../schema/CheckpointEntry.ts"
import type { Disagreement } from "../schema/CheckpointVerdict.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { CheckpointStore, LeafRow } from "./CheckpointStore.ts"
import type { PrunedRanges } from "./PrunedRanges.ts"

/** Whether a leaf that the rows do not bear out was answered for by somebody who had the checkpoint key. */
export const isExcused = (
  { chain, seq }: Pick<CheckpointLeaf, "chain" | "seq">,
  index: number,
  adoptions: ReadonlyArray<Pick<Adoption, "size" | "lost">>
): boolean =>
  adoptions.some(({ lost, size }) => index < size && lost.some((each) => each.chain === chain && seq > each.after))

/** Holds every leaf of a log, up to `size`, against the rows. Of a chain each leaf that fails is named. */
export const check = Effect.fnUntraced(function* <E>(
  store: CheckpointStore["Service"],
  pruned: PrunedRanges,
  log: Stream.Stream<LogEntry, E>,
  size: number,
  adoptions: ReadonlyArray<Adoption>
) {
  const disagreements: Array<Disagreement> = []
  const covered = new Map<string, number>()
  let seen = 0

  const compare = Effect.fnUntraced(function* (leaves: ReadonlyArray<Numbered>) {
    const rows = yield* store.rowsAt(leaves)
    // After the rows: what is pruned meanwhile is said there as well.
    const isPruned = rows.some(({ hash }) => hash === null) ? yield* pruned.excuse : never
    leaves.forEach((leaf, at) => {
      const row = rows[at]
      if (row?.hash != null && sameBytes(row.hash, leaf.hash)) {
        covered.set(leaf.chain, Math.max(leaf.seq, covered.get(leaf.chain) ?? 0))
        return
      }
      const removed = row?.hash === null && isPruned(leaf)
      if (!removed && !isExcused(leaf, leaf.index, adoptions)) disagreements.push(disagreementOf(leaf, row))
    })
  })

  yield* log.pipe(
    Stream.mapError((error): StoreError | E => error),
    Stream.flatMap((entry) => {
      if (entry._tag !== "Checkpoint" || entry.previous !== seen || seen >= size) return Stream.empty
      seen += entry.leaves.length
      const checkpoint = seen
      return Stream.fromIterable(
        entry.leaves.map((leaf, at): Numbered => ({ ...leaf, index: entry.previous + at, checkpoint }))
      )
    }),
    Stream.grouped(500),
    Stream.runForEach(compare),
    // A sink that could be read a moment ago: what is gone by now was compared as far as it went.
    Effect.catchIf(
      (error): error is Exclude<E, StoreError> => !isStoreError(error),
      () => Effect.void
    )
  )
  return {
    disagreements,
    coveredChains: covered.size,
    coveredRows: [...covered.values()].reduce((sum, seq) => sum + seq, 0)
  }
})

const never = () => false

interface Numbered extends CheckpointLeaf {
  readonly index: number
  readonly checkpoint: number
}

const disagreementOf = (leaf: Numbered, row: LeafRow | undefined): Disagreement => {
  const lastSeq = row?.lastSeq ?? 0
  return {
    chain: leaf.chain,
    seq: leaf.seq,
    checkpoint: leaf.checkpoint,
    kind: row?.hash != null || lastSeq >= leaf.seq ? "rewritten" : lastSeq === 0 ? "missing" : "shorter",
    lastSeq
  }
}

const isStoreError = (error: unknown): error is StoreError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "StoreError"
