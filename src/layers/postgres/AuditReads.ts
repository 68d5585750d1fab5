import { Effect, Option, Stream } from "effect"
import { genesis } from "../../schema/Chain.ts"
import type { ChainId } from "../../schema/Ids.ts"
import { StoreError } from "../../schema/StoreError.ts"
import type { AuditQuery, AuditStore, ChainPosition } from "../../services/AuditStore.ts"
import { headOfValues } from "./AuditStatements.ts"
import type { Database } from "./Database.ts"
import { bounded } from "./Deadline.ts"
import { texts } from "./PgArrays.ts"
import { toStoreError } from "./SqlFailure.ts"
import { columns, rowOf } from "./StoredRow.ts"

type Reads = Pick<AuditStore["Service"], "head" | "heads" | "rows" | "find" | "byId" | "movedSince">

/**
 * Rows in one page: keyset pages need no cursor, no long snapshot and no sort. Few, for whoever walks the log holds one for each
 * chain that is read side by side, and a host's memory is not ours to fill.
 */
const pageSize = 125

/** Chains in one listing. */
const listed = 2000

/** Above the server's own statement timeout: it is for pools that are taken and lines that are dead. */
const readDeadline = "10 seconds"

/** A commit may become visible this much later than its rows' `recorded_at`; exact readers compare heads now and then. */
const lateCommitMs = 30_000

/** Everything that reads the log. Positional rows: the names of columns may be transformed by the host's client. */
export const make = (database: Database["Service"]): Reads => {
  const events = `${database.prefix}governance_audit_events`
  const headsTable = `${database.prefix}governance_audit_chain_heads`
  const query = (operation: string, text: string, parameters: ReadonlyArray<unknown>) =>
    bounded(
      Effect.mapError(database.sql.unsafe(text, parameters).values, toStoreError("AuditStore", operation)),
      readDeadline,
      () => new StoreError({ store: "AuditStore", operation, problem: "deadline" })
    )

  const page = (chain: ChainId, after: number, toSeq: number) =>
    query(
      "rows",
      `SELECT ${columns} FROM ${events} WHERE chain = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT ${pageSize}`,
      [chain, whole(after), whole(toSeq)]
    )

  // From chain to chain over the primary key: the time grows with the chains, where a scan reads every row there is.
  const lastRows = (after: string) =>
    query(
      "movedSince",
      `WITH RECURSIVE last AS (
         (SELECT chain, 1 AS n FROM ${events} WHERE chain > $1 ORDER BY chain LIMIT 1)
         UNION ALL
         SELECT next.chain, last.n + 1 FROM last CROSS JOIN LATERAL
           (SELECT chain FROM ${events} WHERE chain > last.chain ORDER BY chain LIMIT 1) AS next
          WHERE last.n < ${listed}
       )
       SELECT chain, (SELECT max(seq) FROM ${events} AS e WHERE e.chain = last.chain) FROM last ORDER BY chain`,
      [after]
    )

  const everyLastRow = Effect.gen(function* () {
    const found: Array<ChainPosition> = []
    for (let after = ""; ; ) {
      const rows = (yield* lastRows(after)).map(positionOf)
      found.push(...rows)
      const last = rows.at(-1)
      if (last === undefined || rows.length < listed) return found
      after = last.chain
    }
  })

  return {
    head: Effect.fn("AuditStore.head")(function* (chain) {
      const [row] = yield* query("head", `SELECT chain, seq, hash, at_ms FROM ${headsTable} WHERE chain = $1`, [chain])
      if (row === undefined) return genesis
      const { seq, hash, atMs } = headOfValues(row)
      return { seq, hash, atMs }
    }),

    heads: Effect.fn("AuditStore.heads")(function* (after, limit) {
      const rows = yield* query(
        "heads",
        `SELECT chain, seq, hash, at_ms FROM ${headsTable} WHERE chain > $1 AND seq > 0 ORDER BY chain LIMIT $2`,
        [after ?? "", whole(limit)]
      )
      return rows.map(headOfValues)
    }),

    rows: (chain, range) => {
      const toSeq = range?.toSeq ?? Number.MAX_SAFE_INTEGER
      return Stream.paginate(Math.max(0, (range?.fromSeq ?? 1) - 1), (after) =>
        Effect.map(page(chain, after, toSeq), (found) => {
          const rows = found.map(rowOf)
          const last = rows.at(-1)
          return [rows, last === undefined || rows.length < pageSize ? Option.none() : Option.some(last.seq)] as const
        })
      )
    },

    find: Effect.fn("AuditStore.find")(function* (wanted) {
      const { where, parameters } = conditions(wanted)
      const direction = wanted.newestFirst === true ? "DESC" : "ASC"
      const order = wanted.chain === undefined ? ["at_ms", "chain", "seq"] : ["seq"]
      const limit = whole(Math.min(10_000, wanted.limit ?? 1000))
      const rows = yield* query(
        "find",
        `SELECT ${columns} FROM ${events} ${where} ORDER BY ${order.map((name) => `${name} ${direction}`).join(", ")} LIMIT ${limit}`,
        parameters
      )
      return rows.map(rowOf)
    }),

    byId: Effect.fn("AuditStore.byId")(function* (id, chain) {
      const rows =
        chain === undefined
          ? yield* query("byId", `SELECT ${columns} FROM ${events} WHERE id = $1::uuid ORDER BY chain`, [id])
          : yield* query("byId", `SELECT ${columns} FROM ${events} WHERE chain = $2 AND id = $1::uuid`, [id, chain])
      return rows.map(rowOf)
    }),

    movedSince: Effect.fn("AuditStore.movedSince")(function* (recordedMs) {
      if (recordedMs <= lateCommitMs) return yield* everyLastRow
      const rows = yield* query(
        "movedSince",
        `SELECT chain, max(seq) FROM ${events} WHERE recorded_at >= to_timestamp($1::float8 / 1000) GROUP BY chain ORDER BY chain`,
        [recordedMs - lateCommitMs]
      )
      return rows.map(positionOf)
    })
  }
}

const positionOf = (values: ReadonlyArray<unknown>): ChainPosition => {
  const { chain, seq } = headOfValues([values[0], values[1], null, 0n])
  return { chain, seq }
}

const conditions = (query: AuditQuery) => {
  const parameters: Array<unknown> = []
  const parts: Array<string> = []
  const add = (text: (n: string) => string, value: unknown) => {
    if (value === undefined) return
    parameters.push(value)
    parts.push(text(`$${parameters.length}`))
  }
  add((n) => `chain = ${n}`, query.chain)
  add((n) => `agent = ${n}`, query.agentId)
  add((n) => `session = ${n}`, query.sessionId)
  add((n) => `kind = ANY (${n})`, query.kinds === undefined ? undefined : texts(query.kinds))
  add((n) => `at_ms >= ${n}`, milliseconds(query.fromMs))
  add((n) => `at_ms <= ${n}`, milliseconds(query.toMs))
  return { where: parts.length === 0 ? "" : `WHERE ${parts.join(" AND ")}`, parameters }
}

const milliseconds = (value: number | undefined) => (value === undefined ? undefined : whole(value))

/** A bigint for Postgres out of any number: beyond the safe integers is as far as one can look, not a number is 0. */
const whole = (value: number): bigint =>
  Number.isNaN(value) ? 0n : BigInt(Math.trunc(Math.min(Math.max(value, 0), Number.MAX_SAFE_INTEGER)))
