import type { ChainHead, ChainRow } from "../../schema/Envelope.ts"
import type { ChainId } from "../../schema/Ids.ts"
import { byteas, int8s, texts, uuids } from "./PgArrays.ts"
import { columnsOf, kept } from "./StoredRow.ts"

/** The statements of the audit log, and how its rows and parameters look on the wire. Binary arrays throughout. */
export const make = (prefix: string) => ({
  heads: `SELECT chain, seq, hash, at_ms FROM ${prefix}governance_audit_chain_heads WHERE chain = ANY ($1::text[])`,
  lockHeads: `SELECT chain, seq, hash, at_ms FROM ${prefix}governance_lock_heads($1, $2)`,
  append: `SELECT ${prefix}governance_append_many($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22)`,
  known: `SELECT ${columnsOf("e")} FROM unnest($1::text[], $2::uuid[]) AS k(chain, id)
    JOIN ${prefix}governance_audit_events e ON e.chain = k.chain AND e.id = k.id`
})

export type AuditStatements = ReturnType<typeof make>

/** One chain's part of a batch: sealed rows that continue `from`. */
export interface ChainBatch {
  readonly chain: ChainId
  readonly from: ChainHead
  readonly to: ChainHead
  readonly rows: ReadonlyArray<ChainRow>
}

/** In the order of `governance_append_many`'s parameters. `batches` must not be empty. */
export const appendParameters = (batches: ReadonlyArray<ChainBatch>): ReadonlyArray<unknown> => {
  const rows = batches.flatMap((batch) => batch.rows)
  return [
    batches[0]?.chain ?? "",
    texts(rows.map((row) => row.chain)),
    int8s(rows.map((row) => BigInt(row.seq))),
    uuids(rows.map((row) => row.id)),
    int8s(rows.map((row) => BigInt(row.atMs))),
    texts(rows.map((row) => row.agent)),
    texts(rows.map((row) => row.session)),
    uuids(rows.map((row) => row.parent)),
    texts(rows.map((row) => row.kind)),
    texts(rows.map((row) => row.keyId)),
    texts(rows.map((row) => row.signer)),
    texts(rows.map((row) => row.canonical)),
    byteas(rows.map((row) => row.hash)),
    byteas(rows.map((row) => row.prev)),
    byteas(rows.map((row) => row.hmac)),
    byteas(rows.map((row) => row.signature)),
    texts(batches.map((batch) => batch.chain)),
    int8s(batches.map((batch) => BigInt(batch.from.seq))),
    byteas(batches.map((batch) => batch.from.hash)),
    int8s(batches.map((batch) => BigInt(batch.to.seq))),
    byteas(batches.map((batch) => batch.to.hash)),
    int8s(batches.map((batch) => BigInt(batch.to.atMs)))
  ]
}

export const headOfValues = (values: ReadonlyArray<unknown>): ChainHead & { readonly chain: ChainId } => {
  // The edge of the driver, as in `rowOf`.
  const [chain, seq, hash, atMs] = values as [ChainId, bigint, Uint8Array | null, bigint]
  return { chain, seq: Number(seq), hash: hash === null ? null : kept(hash), atMs: Number(atMs) }
}
