import { Context, Effect, Latch, Layer, Stream } from "effect"
import { genesis, headOf, type RowKeys, seal } from "../../schema/Chain.ts"
import type { AuditDraft, ChainHead, ChainRow } from "../../schema/Envelope.ts"
import type { ChainId, EventId } from "../../schema/Ids.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { type AppendResult, type AuditQuery, AuditStore, type ChainPosition } from "../../services/AuditStore.ts"
import { ChainKeys } from "../../services/ChainKeys.ts"
import { CurrentJournal, type Journal } from "./StoreTransaction.ts"

/** What only the log in memory has: a bound, and the admission that it may have forgotten something (MEM-02). */
export class MemoryAudit extends Context.Service<
  MemoryAudit,
  {
    readonly stats: Effect.Effect<{ readonly size: number; readonly max: number; readonly evicted: number }>
    /** Fails when rows were evicted since the start. */
    readonly verifyNotTruncated: Effect.Effect<void, StoreError>
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
  const max = options.maxEvents ?? 100_000
  const chains = new Map<ChainId, Chain>()
  const oldestFirst: Array<Chain> = []
  let size = 0
  let evicted = 0
  let forgotten = 0

  const chainOf = (id: ChainId): Chain => {
    const known = chains.get(id)
    if (known !== undefined) return known
    const made = new Chain(id, () => chainKeys.current)
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

  const commit = (chain: Chain, row: MemoryRow, nowMs: number) => {
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
    row.sealAfter(before === undefined ? chain.head() : headOf(before), chainKeys.current)
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

  const memory = MemoryAudit.of({
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

interface Held {
  readonly rows: Array<MemoryRow>
  readonly released: Latch.Latch
}

/** A transaction that appended to a chain keeps it to itself until it ends, like the row lock of the head in Postgres. */
const hold = (journal: Journal, chain: Chain, commit: (row: MemoryRow) => void): Held => {
  const held: Held = { rows: [], released: Latch.makeUnsafe() }
  journal.onEnd.push((committed) => {
    chain.held = null
    if (committed) for (const row of held.rows) commit(row)
    held.released.openUnsafe()
  })
  return held
}

/** Rows are sealed in order when somebody first looks: a writer in memory need not wait for two digests (perf P6). */
class Chain {
  readonly id: ChainId
  readonly #keys: () => RowKeys
  readonly #rows: Array<MemoryRow> = []
  readonly #seqs = new Map<EventId, number>()
  #evicted = 0
  #sealed: ChainHead = genesis
  seq = 0
  atMs = 0
  movedAtMs = 0
  held: Held | null = null

  constructor(id: ChainId, keys: () => RowKeys) {
    this.id = id
    this.#keys = keys
  }

  next(draft: AuditDraft, before?: MemoryRow): MemoryRow {
    const atMs = Math.max(draft.atMs, before?.atMs ?? this.atMs)
    return new MemoryRow(this, draft, (before?.seq ?? this.seq) + 1, atMs)
  }

  push(row: MemoryRow, nowMs: number): void {
    this.#rows.push(row)
    this.#seqs.set(row.id, row.seq)
    this.seq = row.seq
    this.atMs = row.atMs
    this.movedAtMs = nowMs
  }

  byId(id: EventId): MemoryRow | undefined {
    const seq = this.#seqs.get(id)
    return seq === undefined ? undefined : this.#rows[seq - this.#evicted - 1]
  }

  rows(fromSeq = 1, toSeq = Number.POSITIVE_INFINITY): ReadonlyArray<MemoryRow> {
    return this.#rows.slice(
      Math.max(0, fromSeq - this.#evicted - 1),
      Math.max(0, Math.min(toSeq - this.#evicted, this.#rows.length))
    )
  }

  head(): ChainHead {
    this.sealThrough(this.seq)
    return { ...this.#sealed }
  }

  sealThrough(seq: number): void {
    while (this.#sealed.seq < seq) {
      const row = this.#rows[this.#sealed.seq - this.#evicted]
      if (row === undefined) return
      this.#sealed = headOf(row.sealAfter(this.#sealed, this.#keys()))
    }
  }

  evict(): void {
    this.sealThrough(this.#evicted + 1)
    const row = this.#rows.shift()
    if (row !== undefined) this.#seqs.delete(row.id)
    this.#evicted++
  }
}

/** A row that computes its digests on first sight. Nothing about it can be changed from outside. */
class MemoryRow implements ChainRow {
  readonly #home: Chain
  readonly #draft: AuditDraft
  readonly #seq: number
  readonly #atMs: number
  #sealed: ChainRow | null = null

  constructor(home: Chain, draft: AuditDraft, seq: number, atMs: number) {
    this.#home = home
    this.#draft = draft
    this.#seq = seq
    this.#atMs = atMs
  }

  get chain() {
    return this.#draft.chain
  }
  get seq() {
    return this.#seq
  }
  get id() {
    return this.#draft.id
  }
  get atMs() {
    return this.#atMs
  }
  get agent() {
    return this.#draft.agent
  }
  get session() {
    return this.#draft.session
  }
  get parent() {
    return this.#draft.parent
  }
  get kind() {
    return this.#draft.kind
  }
  get keyId() {
    return this.#row().keyId
  }
  get signer() {
    return this.#row().signer
  }
  get canonical() {
    return this.#row().canonical
  }
  get hash() {
    return Uint8Array.from(this.#row().hash)
  }
  get prev() {
    return copyBytes(this.#row().prev)
  }
  get hmac() {
    return Uint8Array.from(this.#row().hmac)
  }
  get signature() {
    return copyBytes(this.#row().signature)
  }

  sealAfter(head: ChainHead, keys: RowKeys): ChainRow {
    this.#sealed ??= Object.freeze(seal(this.#draft, head, keys))
    return this.#sealed
  }

  #row(): ChainRow {
    if (this.#sealed === null) this.#home.sealThrough(this.#seq)
    return this.#sealed!
  }
}

/** Not `slice`, which on Node's Buffers is a view. */
const copyBytes = (bytes: Uint8Array | null) => (bytes === null ? null : Uint8Array.from(bytes))

const copyOf = (row: ChainRow): ChainRow =>
  Object.freeze({
    chain: row.chain,
    seq: row.seq,
    id: row.id,
    atMs: row.atMs,
    agent: row.agent,
    session: row.session,
    parent: row.parent,
    kind: row.kind,
    keyId: row.keyId,
    signer: row.signer,
    canonical: row.canonical,
    hash: row.hash,
    prev: row.prev,
    hmac: row.hmac,
    signature: row.signature
  })

const byTime = (left: ChainRow, right: ChainRow) =>
  left.atMs - right.atMs || (left.chain < right.chain ? -1 : left.chain > right.chain ? 1 : left.seq - right.seq)

const matches = (query: AuditQuery, row: ChainRow): boolean =>
  (query.agentId === undefined || row.agent === query.agentId) &&
  (query.sessionId === undefined || row.session === query.sessionId) &&
  (query.kinds === undefined || query.kinds.includes(row.kind)) &&
  (query.fromMs === undefined || row.atMs >= query.fromMs) &&
  (query.toMs === undefined || row.atMs <= query.toMs)
