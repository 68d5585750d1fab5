import { Latch } from "effect"
import { genesis, headOf, type RowKeys, seal } from "../../schema/Chain.ts"
import type { AuditDraft, ChainHead, ChainRow } from "../../schema/Envelope.ts"
import type { ChainId, EventId } from "../../schema/Ids.ts"
import type { Journal } from "./StoreTransaction.ts"

export interface Held {
  readonly rows: Array<MemoryRow>
  readonly released: Latch.Latch
}

/** A transaction that appended to a chain keeps it to itself until it ends, like the row lock of the head in Postgres. */
export const hold = (journal: Journal, chain: MemoryChain, commit: (row: MemoryRow) => void): Held => {
  const held: Held = { rows: [], released: Latch.makeUnsafe() }
  journal.onEnd.push((committed) => {
    chain.held = null
    if (committed) for (const row of held.rows) commit(row)
    held.released.openUnsafe()
  })
  return held
}

/** Rows are sealed in order when somebody first looks: a writer in memory need not wait for two digests (perf P6). */
export class MemoryChain {
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
export class MemoryRow implements ChainRow {
  readonly #home: MemoryChain
  readonly #draft: AuditDraft
  readonly #seq: number
  readonly #atMs: number
  #sealed: ChainRow | null = null

  constructor(home: MemoryChain, draft: AuditDraft, seq: number, atMs: number) {
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

export const copyOf = (row: ChainRow): ChainRow =>
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
