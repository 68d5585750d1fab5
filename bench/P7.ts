import { PgClient } from "@effect/sql-pg"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { ChainId } from "../src/schema/Ids.ts"
import { Audit } from "../src/services/Audit.ts"
import { AuditStore } from "../src/services/AuditStore.ts"
import { request, rig, spent } from "./Admission.ts"
import { BenchServer } from "./BenchServer.ts"
import { build } from "./Build.ts"
import { fill, sessionOf } from "./Fill.ts"
import * as GovernedDatabase from "./GovernedDatabase.ts"
import { interleaved, median, p50, ratios } from "./Rounds.ts"
import { ms, number, type Row, type Size } from "./Row.ts"

/** Two databases, one with few rows and one with many: what grows with the rows shows as a ratio. */
export const run = Effect.fnUntraced(function* (size: Size) {
  const small = size.quick ? 1_000 : 10_000
  const sizes = size.full ? [100_000, 1_000_000] : [size.quick ? 10_000 : 200_000]
  const few = yield* filled(small)
  const rows: Array<Row> = []
  for (const many of sizes) {
    const large = yield* filled(many)
    const calls = size.quick ? 15 : 60
    for (const { name, of } of operations) {
      const costs = yield* interleaved(size.rounds, {
        few: p50(calls, of(few)),
        many: p50(calls, of(large))
      })
      rows.push({
        id: "P7",
        what: `${name}, one caller, p50, at ${number(many)} rows`,
        against: `the same at ${number(small)} rows, in a database beside it`,
        goal: { atMost: 1.3 },
        measured: ratios(costs.many, costs.few),
        unit: "x",
        figures: `${ms(median(costs.many))} against ${ms(median(costs.few))}`
      })
    }
  }
  return rows
}, Effect.scoped)

const chains = 50

/** So many events in the log, and so many tickets of the agent that is measured and of others. */
const filled = Effect.fnUntraced(function* (count: number) {
  const server = yield* BenchServer
  const database = yield* server.database(`p7_${count}`)
  const services = yield* build(GovernedDatabase.layer(database.appUrl))
  const audit = Context.get(services, Audit)
  yield* fill(audit, count, chains)
  const { admission, agentId } = yield* rig(database)
  // A client of its own: the library's connections give no statement the time that filling takes.
  const owner = PgClient.layer({ url: database.ownerUrl, maxConnections: 1, transformJson: false })
  yield* SqlClient.SqlClient.use((sql) =>
    sql
      .unsafe(tickets, [BigInt(count), agentId])
      .pipe(
        Effect.andThen(sql.unsafe(counters, [BigInt(count / 10), agentId])),
        Effect.andThen(sql.unsafe("VACUUM ANALYZE"))
      )
  ).pipe(Effect.provide(owner, { local: true }))
  yield* server.checkpoint
  return { audit, store: Context.get(services, AuditStore), admission, agentId }
})

type Filled = Effect.Success<ReturnType<typeof filled>>

const operations: ReadonlyArray<{
  readonly name: string
  readonly of: (on: Filled) => (n: number) => Effect.Effect<unknown, unknown>
}> = [
  {
    name: "Append (`Audit.log`)",
    of:
      ({ audit }) =>
      (n) =>
        audit.log({ kind: "tool.call", agentId: "agent-1", sessionId: sessionOf(n % chains), metadata: { n } })
  },
  {
    name: "Tail read (the newest 100 rows of a chain)",
    of:
      ({ store }) =>
      (n) =>
        store.find({ chain: ChainId.make(`session:${sessionOf(n % chains)}`), newestFirst: true, limit: 100 })
  },
  {
    name: "Admission and settlement of a tool call",
    of:
      ({ admission, agentId }) =>
      (n) => {
        const call = request(agentId, `tool ${n}`)
        return Effect.andThen(admission.admit(call), admission.settle(agentId, call.ticket, spent))
      }
  }
]

/** Settled within the last day, so that none of them is forgotten; half of them in the session that is measured. */
const tickets = `INSERT INTO governance_tickets
    (root, ticket, agent, session, state, verdict, held_usd, held_tokens, day, opened_at, expires_at, settled_at,
     settled_usd, settled_tokens, tool, signature, facts)
  SELECT $2, gen_random_uuid(), $2, CASE n % 2 WHEN 0 THEN 'bench' ELSE 'session ' || n % 1000 END, 'spent', 'Admitted', 10, 1,
     '2026-01-01', o.at, o.at + interval '1 minute', o.at + interval '1 second', 5, 1, 'tool ' || n % 50, md5(n::text), '{}'
    FROM generate_series(1, $1::bigint) AS g(n), LATERAL (SELECT now() - n * interval '80 milliseconds' AS at) o`

const counters = `INSERT INTO governance_cost_counters (root, agent, scope, used_usd, used_tokens, started_at)
  SELECT $2, $2, 's:session ' || n, 5, 1, now() FROM generate_series(1, $1::bigint) AS g(n)`
