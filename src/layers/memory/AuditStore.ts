import { Context, Effect, Layer, Stream } from "effect"
import { genesis, headOf } from "../../schema/Chain.ts"
import type { AuditDraft, ChainRow } from "../../schema/Envelope.ts"
import type { ChainId } from "../../schema/Ids.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { type AppendResult, type AuditQuery, AuditStore, type ChainPosition } from "../../services/AuditStore.ts"
import { ChainKeys } from "../../services/ChainKeys.ts"
import { Identity, sealing } from "../../services/Identity.ts"
import { copyOf, hold, MemoryChain, type MemoryRow } from "./MemoryChain.ts"
import { CurrentJournal, type Journal } from "./StoreTransaction.ts"

/** What only the log in memory has: a bound, and the admission that it may have forgotten something (MEM-02). */
export class MemoryAudit extends Context.Service<
  MemoryAudit,
  {
    readonly stats: Effect.Effect<{ readonly size: number; readonly max: number; readonly evicted: number }>
    /** Fails when rows were evicted since the start. */
    readonly verifyNotTruncated: Effect.Effect<void, StoreError>
    /** Drops the rows of a chain up to `toSeq`, which a seal now stands for. */
    readonly drop: (chain: ChainId, toSeq: number) => void
  }
>()("effect-governance/layers/memory/MemoryAudit") {}

export interface MemoryAuditOptions {
  /** Default 100 000 (MEM-03). */
  readonly maxEvents?: number | undefined
  /** `fail`, the default, refuses what does not fit; `evict` forgets the oldest rows (MEM-01). */
  readonly onFull?: "fail" | "evict" | undefined
}

export const make = Effect.fnUntraced(function* (options: MemoryAuditOptions = {}) {
  const chainKeys = yield* ChainKeys
  const identity = yield* Identity
  const keys = () => sealing(identity, chainKeys.current)
  const max = options.maxEvents ?? 100_000
  const chains = new Map<ChainId, MemoryChain>()
  const oldestFirst: Array<MemoryChain> = []
  let size = 0
  let evicted = 0
  let forgotten = 0

  const chainOf = (id: ChainId): MemoryChain => {
    const known = chains.get(id)
    if (known !== undefined) return known
    const made = new MemoryChain(id, keys)
    chains.set(id, made)
    return made
  }

  const makeRoom = (operation: string): StoreError | undefined => {
    if (size < max) return undefined
    if (options.onFull !== "evict")
      return new StoreError({ store: "memory.AuditStore", operation, problem: "overload" })
    oldestFirst[forgotten++]?.evict()
    // Compacting rarely keeps eviction constant in time.
    if (forgotten > 1024 && forgotten * 2 > oldestFirst.length) {
      oldestFirst.splice(0, forgotten)
      forgotten = 0
    }
    size--
    evicted++
    return undefined
  }

  const commit = (chain: MemoryChain, row: MemoryRow, nowMs: number) => {
    chain.push(row, nowMs)
    oldestFirst.push(chain)
    size++
  }

  const appendSync = (draft: AuditDraft, nowMs: number): AppendResult | StoreError | null => {
    const chain = chainOf(draft.chain)
    if (chain.held !== null) return null
    const known = chain.byId(draft.id)
    if (known !== undefined) return { _tag: "IdTaken", row: known }
    const full = makeRoom("append")
    if (full !== undefined) return full
    const row = chain.next(draft)
    commit(chain, row, nowMs)
    return { _tag: "Stored", row }
  }

  const append = (draft: AuditDraft): Effect.Effect<AppendResult, StoreError> =>
    Effect.clockWith((clock) => {
      const result = appendSync(draft, clock.currentTimeMillisUnsafe())
      if (result !== null) return result._tag === "StoreError" ? Effect.fail(result) : Effect.succeed(result)
      const { held } = chainOf(draft.chain)
      return Effect.andThen(held === null ? Effect.void : held.released.await, append(draft))
    })

  const stage = (journal: Journal, draft: AuditDraft, nowMs: number): Effect.Effect<AppendResult, StoreError> => {
    const chain = chainOf(draft.chain)
    chain.held ??= hold(journal, chain, (row) => commit(chain, row, nowMs))
    const { held } = chain
    const known = chain.byId(draft.id) ?? held.rows.find((row) => row.id === draft.id)
    if (known !== undefined) return Effect.succeed({ _tag: "IdTaken", row: known })
    const full = makeRoom("appendInTransaction")
    if (full !== undefined) return Effect.fail(full)
    const before = held.rows.at(-1)
    const row = chain.next(draft, before)
    row.sealAfter(before === undefined ? chain.head() : headOf(before), keys())
    held.rows.push(row)
    return Effect.succeed({ _tag: "Stored", row })
  }

  const appendInTransaction = (draft: AuditDraft): Effect.Effect<AppendResult, StoreError> =>
    Effect.flatMap(CurrentJournal, (journal) =>
      journal === null
        ? Effect.die(new Error("AuditStore.appendInTransaction outside of StoreTransaction.run"))
        : Effect.clockWith((clock) => stage(journal, draft, clock.currentTimeMillisUnsafe()))
    )

  const heads = (after: ChainId | null, limit: number) =>
    [...chains.values()]
      .filter((chain) => chain.seq > 0 && (after === null || chain.id > after))
      .sort((left, right) => (left.id < right.id ? -1 : 1))
      .slice(0, limit)
      .map((chain) => ({ chain: chain.id, ...chain.head() }))

  const find = (query: AuditQuery): ReadonlyArray<ChainRow> => {
    const limit = Math.min(query.limit ?? 1_000, 10_000)
    const sources = [...chains.values()].filter((chain) => query.chain === undefined || chain.id === query.chain)
    const found = sources.flatMap((chain) => chain.rows().filter((row) => matches(query, row)))
    found.sort(query.chain === undefined ? byTime : (left, right) => left.seq - right.seq)
    return (query.newestFirst === true ? found.reverse() : found).slice(0, limit).map(copyOf)
  }

  const store = AuditStore.of({
    append,
    appendSync,
    appendInTransaction,
    head: (chain) => Effect.sync(() => chains.get(chain)?.head() ?? genesis),
    heads: (after, limit) => Effect.sync(() => heads(after, limit)),
    rows: (chain, range) =>
      Stream.suspend(() =>
        Stream.fromIterable((chains.get(chain)?.rows(range?.fromSeq, range?.toSeq) ?? []).map(copyOf))
      ),
    find: (query) => Effect.sync(() => find(query)),
    byId: (id, chain) =>
      Effect.sync(() =>
        [...chains.values()].flatMap((one) => {
          const row = chain === undefined || one.id === chain ? one.byId(id) : undefined
          return row === undefined ? [] : [copyOf(row)]
        })
      ),
    movedSince: (recordedMs) =>
      Effect.sync(() =>
        [...chains.values()].flatMap(
          (chain): ReadonlyArray<ChainPosition> =>
            chain.seq > 0 && chain.movedAtMs >= recordedMs - lateCommitMarginMs
              ? [{ chain: chain.id, seq: chain.seq }]
              : []
        )
      )
  })

  const drop = (id: ChainId, toSeq: number) => {
    const chain = chains.get(id)
    const rows = chain?.rows(1, toSeq).length ?? 0
    let left = rows
    for (let i = 0; i < rows; i++) chain?.evict()
    const kept = oldestFirst.slice(forgotten).filter((one) => one !== chain || left-- <= 0)
    oldestFirst.splice(0, oldestFirst.length, ...kept)
    forgotten = 0
    size -= rows
  }

  const memory = MemoryAudit.of({
    drop,
    stats: Effect.sync(() => ({ size, max, evicted })),
    verifyNotTruncated: Effect.suspend(() =>
      evicted === 0
        ? Effect.void
        : Effect.fail(
            StoreError.because(
              { store: "memory.AuditStore", operation: "verifyNotTruncated", problem: "integrity" },
              `${evicted} rows were evicted`
            )
          )
    )
  })

  return Context.make(AuditStore, store).pipe(Context.add(MemoryAudit, memory))
})

export const layer = Layer.effectContext(make())

export const layerWith = (options: MemoryAuditOptions) => Layer.effectContext(make(options))

/** The same as on a database, where a transaction may become visible later than its rows are dated. */
const lateCommitMarginMs = 5_000

const byTime = (left: ChainRow, right: ChainRow) =>
  left.atMs - right.atMs || (left.chain < right.chain ? -1 : left.chain > right.chain ? 1 : left.seq - right.seq)

const matches = (query: AuditQuery, row: ChainRow): boolean =>
  (query.agentId === undefined || row.agent === query.agentId) &&
  (query.sessionId === undefined || row.session === query.sessionId) &&
  (query.kinds === undefined || query.kinds.includes(row.kind)) &&
  (query.fromMs === undefined || row.atMs >= query.fromMs) &&
  (query.toMs === undefined || row.atMs <= query.toMs)
