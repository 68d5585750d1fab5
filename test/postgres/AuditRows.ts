import { createHash, createHmac, randomUUID } from "node:crypto"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as Statements from "../../src/layers/postgres/AuditStatements.ts"
import { columns, rowOf } from "../../src/layers/postgres/StoredRow.ts"
import { checkRow, genesis, headOf, type RowKeys, seal, type Verifier } from "../../src/schema/Chain.ts"
import type { AuditDraft, ChainHead, ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId, ChainId, EventId, KeyId, SessionId } from "../../src/schema/Ids.ts"

const hash = (text: string) => new Uint8Array(createHash("sha256").update(text).digest())
const mac = (text: string) => new Uint8Array(createHmac("sha256", "a secret of the tests alone").update(text).digest())

export const keys: RowKeys = { keyId: KeyId.make("0".repeat(32)), hash, mac, signer: null }
const verifier: Verifier = { hash, macFor: () => mac }

export const chainNamed = (name: string) => ChainId.make(`session:${name}`)

export const draft = (name: string, more: Partial<AuditDraft> = {}): AuditDraft => ({
  chain: chainNamed(name),
  id: EventId.make(randomUUID()),
  atMs: 1_790_000_000_000,
  agent: AgentId.make("agent-1"),
  session: SessionId.make(name),
  parent: null,
  kind: "tool.call",
  model: null,
  inputHash: null,
  outputHash: null,
  metadataText: '{"note":"ü"}',
  ...more
})

/** Rows that continue `from`. */
export const sealAll = (drafts: ReadonlyArray<AuditDraft>, from: ChainHead = genesis): ReadonlyArray<ChainRow> => {
  let head = from
  return drafts.map((each) => {
    const row = seal(each, head, keys)
    head = headOf(row)
    return row
  })
}

/** Calls the append function as any caller with EXECUTE can. */
export const callAppend = (batches: ReadonlyArray<Statements.ChainBatch>) =>
  SqlClient.SqlClient.use((sql) =>
    Effect.map(
      sql.unsafe(Statements.make('"public".').append, Statements.appendParameters(batches)).values,
      ([row]) => row?.[0]
    )
  )

/** Every row of every chain as stored, and what contradicts: breaks, gaps, heads that do not match. */
export const inspect = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = (yield* sql.unsafe(`SELECT ${columns} FROM governance_audit_events ORDER BY chain, seq`).values).map(
    rowOf
  )
  const heads = new Map(
    (yield* sql.unsafe("SELECT chain, seq, hash, at_ms FROM governance_audit_chain_heads").values)
      .map(Statements.headOfValues)
      .map((head) => [head.chain, head])
  )
  const problems: Array<string> = []
  let previous: ChainRow | null = null
  for (const [index, row] of rows.entries()) {
    const before: ChainRow | null = previous?.chain === row.chain ? previous : null
    for (const broken of checkRow(row, before, verifier))
      problems.push(`${row.chain} ${row.seq}: ${JSON.stringify(broken)}`)
    const head = heads.get(row.chain)
    if (
      rows[index + 1]?.chain !== row.chain &&
      (head?.seq !== row.seq || Buffer.compare(head.hash ?? new Uint8Array(), row.hash) !== 0)
    ) {
      problems.push(`${row.chain}: the head says ${head?.seq}, the rows end at ${row.seq}`)
    }
    previous = row
  }
  return { rows, problems }
})
