import { randomUUID } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, type Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as Sql from "../src/layers/postgres/AuditStatements.ts"
import { columns } from "../src/layers/postgres/StoredRow.ts"
import { genesis, type RowKeys, seal } from "../src/schema/Chain.ts"
import { AgentId, ChainId, EventId, SessionId } from "../src/schema/Ids.ts"
import { build } from "./Build.ts"

/**
 * The way chains are usually written: in one transaction take the chain's lock, read its last row, hash, insert, commit. A
 * pool of 16 connections, the same driver, the same sealing of a row.
 */
export const make = Effect.fnUntraced(function* (url: Redacted.Redacted, table: string, keys: RowKeys) {
  const sql = Context.get(
    yield* build(PgClient.layer({ url, maxConnections: 16, transformJson: false })),
    SqlClient.SqlClient
  )
  const names = columns.split(", ")
  const insert = `INSERT INTO ${table} (${columns}) VALUES (${names.map((_, n) => `$${n + 1}`).join(",")})`
  return (chainName: string) =>
    sql.withTransaction(
      Effect.gen(function* () {
        const chain = ChainId.make(chainName)
        yield* sql.unsafe("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [chain])
        const [last] = yield* sql.unsafe(
          `SELECT chain, seq, hash, at_ms FROM ${table} WHERE chain = $1 ORDER BY seq DESC LIMIT 1`,
          [chain]
        ).values
        const head = last === undefined ? genesis : Sql.headOfValues(last)
        const row = seal(draftOf(chain), head, keys)
        yield* sql.unsafe(insert, [
          row.chain,
          BigInt(row.seq),
          row.id,
          BigInt(row.atMs),
          row.agent,
          row.session,
          row.parent,
          row.kind,
          row.keyId,
          row.signer,
          row.canonical,
          row.hash,
          row.prev,
          row.hmac,
          row.signature
        ])
      })
    )
})

const draftOf = (chain: ChainId) => ({
  chain,
  id: EventId.make(randomUUID()),
  atMs: Date.now(),
  agent: AgentId.make("bench"),
  session: SessionId.make(chain.slice("session:".length)),
  parent: null,
  kind: "tool.call",
  model: null,
  inputHash: null,
  outputHash: null,
  metadataText: '{"note":"a row of a benchmark","number":1}'
})
