import { Clock, Effect, Layer, Stream } from "effect"
import { type CheckpointLeaf, leafHashOf } from "../../schema/Checkpoint.ts"
import type { ChainRow } from "../../schema/Envelope.ts"
import { ChainId } from "../../schema/Ids.ts"
import { appendLeaves, rootOfFrontier } from "../../schema/Merkle.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { AuditStore } from "../../services/AuditStore.ts"
import { sha256 } from "../../services/CheckpointKey.ts"
import {
  type CheckpointCommit,
  CheckpointStore,
  type LeafRow,
  type MovedChain,
  type StoredCheckpoint
} from "../../services/CheckpointStore.ts"

/** Checkpoints of the log in this process's memory. They die with it, so only a sink outside makes them evidence. */
export const make = Effect.gen(function* () {
  const audit = yield* AuditStore
  const deployment = globalThis.crypto.randomUUID()
  const all: Array<CheckpointLeaf> = []
  const made: Array<Omit<StoredCheckpoint, "ageMs"> & { readonly notes: Array<string>; readonly atMs: number }> = []
  const adopted = new Map<string, string>()

  const rowAt = (chain: ChainId, seq: number) =>
    Effect.map(
      Stream.runCollect(audit.rows(chain, { fromSeq: seq, toSeq: seq })),
      (rows): ChainRow | undefined => [...rows][0]
    )

  const aged = (checkpoint: (typeof made)[number]) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const { atMs, ...rest } = checkpoint
      return { ...rest, notes: [...rest.notes], ageMs: now - atMs } satisfies StoredCheckpoint
    })

  const follows = ({ previous }: CheckpointCommit) => (made.at(-1)?.size ?? 0) === previous && previous === all.length

  const grow = (given: CheckpointCommit) =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        if (!follows(given)) return false
        const before = { size: given.previous, peaks: made.at(-1)?.peaks ?? [] }
        const hashes = given.leaves.map((leaf) => leafHashOf(leaf, sha256))
        const { peaks, size } = appendLeaves(before, hashes, sha256)
        const root = rootOfFrontier({ peaks, size }, sha256)
        all.push(...given.leaves)
        made.push({ size, previous: given.previous, root, peaks, notes: [], atMs: clock.currentTimeMillisUnsafe() })
        return true
      })
    )

  return CheckpointStore.of({
    deploymentId: Effect.succeed(deployment),
    latest: Effect.suspend(() => {
      const last = made.at(-1)
      return last === undefined ? Effect.succeed(null) : aged(last)
    }),
    checkpoints: (after, limit) =>
      Effect.suspend(() => Effect.forEach(made.filter(({ size }) => size > after).slice(0, limit), aged)),
    leaves: (from, to) => Effect.sync(() => all.slice(from, to)),

    moved: Effect.fnUntraced(function* (limit) {
      const moved: Array<MovedChain> = []
      for (const head of yield* audit.heads(null, Number.MAX_SAFE_INTEGER)) {
        const row = yield* rowAt(head.chain, head.seq)
        if (row === undefined) continue
        const index = all.findLastIndex(({ chain }) => chain === head.chain)
        const leaf = all[index]
        if (leaf !== undefined && leaf.seq === row.seq && same(leaf.hash, row.hash)) continue
        const now = leaf === undefined ? undefined : yield* rowAt(head.chain, leaf.seq)
        moved.push({
          chain: head.chain,
          seq: row.seq,
          hash: row.hash,
          covered: leaf === undefined ? null : { index, seq: leaf.seq, hash: leaf.hash, now: now?.hash ?? null }
        })
        if (moved.length === limit) break
      }
      return moved
    }),

    rowsAt: (positions) =>
      Effect.forEach(
        positions,
        Effect.fnUntraced(function* ({ chain, seq }) {
          const id = ChainId.make(chain)
          const [row, head] = [yield* rowAt(id, seq), yield* audit.head(id)]
          return { hash: row?.hash ?? null, lastSeq: head.seq } satisfies LeafRow
        })
      ),

    commit: Effect.fnUntraced(function* (given) {
      if (!follows(given)) return false
      const chains = new Set(given.leaves.map(({ chain }) => chain))
      for (const { chain, hash, seq } of given.leaves) {
        const row = yield* rowAt(ChainId.make(chain), seq)
        const last = all.findLast((leaf) => leaf.chain === chain)
        const now = last === undefined ? undefined : yield* rowAt(ChainId.make(chain), last.seq)
        const stands = last !== undefined && now !== undefined && same(now.hash, last.hash)
        if (row === undefined || !same(row.hash, hash) || (stands && seq <= last.seq)) chains.clear()
      }
      if (chains.size !== given.leaves.length || chains.size === 0) {
        return yield* new StoreError({ store: "CheckpointStore", operation: "commit", problem: "integrity" })
      }
      return yield* grow(given)
    }),
    retake: (given) => grow(given),
    note: (size, note) =>
      Effect.sync(() => {
        const notes = made.find((one) => one.size === size)?.notes
        if (notes !== undefined && !notes.includes(note)) notes.push(note)
      }),
    adoptions: Effect.sync(() => [...adopted.values()]),
    adopt: (id, _, note) =>
      Effect.sync(() => {
        if (!adopted.has(id)) adopted.set(id, note)
      })
  })
})

export const layer = Layer.effect(CheckpointStore, make)

const same = (left: Uint8Array, right: Uint8Array) => Buffer.compare(left, right) === 0
