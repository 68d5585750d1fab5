import { randomUUID } from "node:crypto"
import type { PgPool } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { byteas, int8s, texts, uuids } from "../src/layers/postgres/PgArrays.ts"

const events = "governance_audit_events"

/** An empty table with the columns, constraints and indexes of the audit log. */
export const makeTable = (pool: PgPool.PgPool, name: string) =>
  pool.use((connection) => connection.query(`CREATE TABLE ${name} (LIKE ${events} INCLUDING ALL)`))

/** What the fastest program without chains can do: a row that needs nothing of its predecessor. */
export interface RawRow {
  readonly chain: string
  readonly seq: number
}

/**
 * Group commit of plain rows, with the same queue and the same driver as the audit writer: what waits while a statement is
 * under way goes into the next, at most 500 rows each. Callers resume after the commit.
 */
export const grouped = (pool: PgPool.PgPool, table: string) => {
  const pending: Array<{ row: RawRow; resume: (done: Effect.Effect<void, SqlError>) => void }> = []
  let busy = false
  const statement = insert(table)
  const drain: Effect.Effect<void> = Effect.suspend(() => {
    const jobs = pending.splice(0, 500)
    if (jobs.length === 0) {
      busy = false
      return Effect.void
    }
    return pool
      .use((connection) => connection.queryValues(statement, parameters(jobs.map(({ row }) => row))))
      .pipe(
        Effect.exit,
        Effect.andThen((exit) => {
          for (const { resume } of jobs) resume(exit._tag === "Success" ? Effect.void : Effect.failCause(exit.cause))
          return drain
        })
      )
  })
  return (row: RawRow) =>
    Effect.callback<void, SqlError>((resume) => {
      pending.push({ row, resume })
      if (busy) return
      busy = true
      setImmediate(() => Effect.runFork(drain))
    })
}

/** One row in one statement. */
export const single = (pool: PgPool.PgPool, table: string) => {
  const statement = insert(table)
  return (row: RawRow) => pool.use((connection) => connection.queryValues(statement, parameters([row])))
}

const insert = (table: string) =>
  `INSERT INTO ${table}
     (chain, seq, id, at_ms, agent, session, parent, kind, key_id, signer, canonical, hash, prev, hmac, signature)
   SELECT * FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::text[],
     $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[])`

const parameters = (rows: ReadonlyArray<RawRow>) => {
  const nothing = rows.map(() => null)
  const hashes = byteas(rows.map(() => hash))
  return [
    texts(rows.map(({ chain }) => chain)),
    int8s(rows.map(({ seq }) => BigInt(seq))),
    uuids(rows.map(() => randomUUID())),
    int8s(rows.map(() => BigInt(Date.now()))),
    texts(rows.map(() => "bench")),
    texts(rows.map(({ chain }) => chain.slice("session:".length))),
    uuids(nothing),
    texts(rows.map(() => "tool.call")),
    texts(rows.map(() => keyId)),
    texts(nothing),
    texts(rows.map(({ chain, seq }) => `{"chain":"${chain}","seq":${seq},"text":"${filler}"}`)),
    hashes,
    byteas(rows.map(({ seq }) => (seq === 1 ? null : hash))),
    hashes,
    byteas(nothing)
  ]
}

const hash = new Uint8Array(32).fill(7)
const keyId = "0".repeat(32)
/** Brings the text to the length of an envelope. */
const filler = "x".repeat(520)
