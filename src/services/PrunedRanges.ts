import { Effect, Option, Result, Semaphore, Stream } from "effect"
import { Hex } from "effect/encoding"
import { checkRow, sameBytes, type Verifier } from "../schema/Chain.ts"
import { isTampering } from "../schema/ChainReport.ts"
import type { CheckpointLeaf } from "../schema/Checkpoint.ts"
import type { ChainHead, ChainRow } from "../schema/Envelope.ts"
import { type ChainId, operatorChain } from "../schema/Ids.ts"
import { prunedOf, type Segment, sameSegment, sealOf } from "../schema/Retention.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { AuditStore } from "./AuditStore.ts"

/** The end of what was pruned from a chain, in place of the row that stood there. */
export interface Pruned extends ChainHead {
  /** Of the seal's row in chain `operator`. */
  readonly sealSeq: number
  /** False: the key that would prove a seal is not here. */
  readonly judged: boolean
}

export interface PrunedRanges {
  /** The pruned beginning of a chain, if it ends at exactly this row. */
  readonly endingAt: (chain: ChainId, seq: number) => Effect.Effect<Pruned | undefined, StoreError>
  /** The end of the pruned beginning of a chain, as of now. */
  readonly end: (chain: ChainId) => Effect.Effect<Pruned | undefined, StoreError>
  /**
   * Whether a pruning answers, as of now, for the row that a leaf speaks of. Where a seal ends with that row it MUST say the
   * leaf's hash: else rows that were written anew could be sealed and pruned, and nobody would miss the old ones (K-08).
   */
  readonly excuse: Effect.Effect<(leaf: CheckpointLeaf) => boolean, StoreError>
}

/**
 * What chain `operator` says was pruned. Only rows that pass their own check count, only a pruning that names its seal,
 * and only segments that continue each other from the first row on: whatever else is missing stays missing. Reads nothing
 * until a chain has a gap, and then each row once.
 */
export const make = (store: AuditStore["Service"], verifier: Verifier): PrunedRanges => {
  const seals = new Map<string, { readonly segment: Segment; readonly seq: number; readonly judged: boolean }>()
  const ends = new Map<string, Pruned>()
  const lastHashes = new Map<string, Uint8Array>()
  const one = Semaphore.makeUnsafe(1)
  let readTo = 0

  const take = (row: ChainRow) => {
    readTo = row.seq
    const sealed = sealOf(row)
    const pruned = prunedOf(row)
    if (Option.isNone(sealed) && Option.isNone(pruned)) return
    const found = checkRow(row, undefined, verifier)
    if (found.some(isTampering)) return
    const judged = found.length === 0
    if (Option.isSome(sealed)) seals.set(row.id, { segment: sealed.value, seq: row.seq, judged })
    if (Option.isSome(pruned)) {
      const seal = seals.get(pruned.value.seal)
      if (seal !== undefined && sameSegment(seal.segment, pruned.value))
        extend(seal.segment, seal.seq, judged && seal.judged)
    }
  }

  const extend = (segment: Segment, sealSeq: number, judged: boolean) => {
    const before = ends.get(segment.chain)
    const hash = Result.getOrUndefined(Hex.decode(segment.lastHash))
    const continues =
      segment.fromSeq === (before?.seq ?? 0) + 1 &&
      segment.firstPrev === (before?.hash == null ? null : Hex.encode(before.hash))
    if (!continues || hash === undefined || segment.toSeq < segment.fromSeq) return
    lastHashes.set(placeOf(segment.chain, segment.toSeq), hash)
    ends.set(segment.chain, {
      seq: segment.toSeq,
      hash,
      atMs: 0,
      sealSeq,
      judged: judged && before?.judged !== false
    })
  }

  const readOn = Effect.suspend(() =>
    Stream.runForEachArray(store.rows(operatorChain, { fromSeq: readTo + 1 }), (rows) =>
      Effect.sync(() => rows.forEach(take))
    )
  )

  const known = (chain: ChainId, seq: number) => {
    const end = ends.get(chain)
    return end?.seq === seq ? end : undefined
  }

  return {
    end: (chain) => one.withPermit(Effect.map(readOn, () => ends.get(chain))),
    excuse: one.withPermit(
      Effect.map(readOn, () => ({ chain, hash, seq }: CheckpointLeaf) => {
        const last = lastHashes.get(placeOf(chain, seq))
        return seq <= (ends.get(chain)?.seq ?? 0) && (last === undefined || sameBytes(last, hash))
      })
    ),
    endingAt: (chain, seq) =>
      one.withPermit(
        Effect.suspend(() => {
          const end = known(chain, seq)
          // Pruning may have gone on since: what it deletes and what it says of it are committed together.
          return end === undefined ? Effect.map(readOn, () => known(chain, seq)) : Effect.succeed(end)
        })
      )
  }
}

const placeOf = (chain: string, seq: number) => `${seq} ${chain}`

/** The row that is missing before a page; undefined when nothing is. */
export const gapBefore = (rows: ReadonlyArray<ChainRow>, last: ChainHead | null | undefined): number | undefined => {
  const [first] = rows
  if (first === undefined || last === undefined) return undefined
  return first.seq > (last?.seq ?? 0) + 1 ? first.seq - 1 : undefined
}
