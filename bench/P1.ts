import { Context, Effect } from "effect"
import * as Database from "../src/layers/postgres/Database.ts"
import { Audit } from "../src/services/Audit.ts"
import { ChainKeys } from "../src/services/ChainKeys.ts"
import { BenchServer } from "./BenchServer.ts"
import { build } from "./Build.ts"
import * as GovernedDatabase from "./GovernedDatabase.ts"
import * as NaiveAppend from "./NaiveAppend.ts"
import * as RawAppend from "./RawAppend.ts"
import { interleaved, median, perOperation, ratios } from "./Rounds.ts"
import { perSecond, type Row, type Size } from "./Row.ts"

const callers = 256

/** Durable `Audit.log` under load: one hot chain, and a thousand chains. */
export const run = Effect.fnUntraced(function* (size: Size) {
  const { appUrl, ownerUrl } = yield* (yield* BenchServer).database("p1")
  const governance = yield* build(GovernedDatabase.layer(appUrl))
  const { hot: pool } = Context.get(yield* build(Database.layerFromUrl(ownerUrl)), Database.Database)
  const audit = Context.get(governance, Audit)
  yield* RawAppend.makeTable(pool, "bench_rows")
  yield* RawAppend.makeTable(pool, "bench_naive")
  const raw = RawAppend.grouped(pool, "bench_rows")
  const naive = yield* NaiveAppend.make(ownerUrl, "bench_naive", Context.get(governance, ChainKeys).current)

  const rows: Array<Row> = []
  for (const chains of [1, 1000]) {
    const goals = chains === 1 ? { raw: 0.8, naive: 25 } : { raw: 0.6, naive: 6 }
    const seqs = new Map<string, number>()
    const sessionOf = (caller: number, n: number) => `p1-${chains}-${(n * callers + caller) % chains}`
    const each = size.quick ? 8 : 40
    const costs = yield* interleaved(size.rounds, {
      ours: perOperation(callers, each, (caller, n) =>
        audit.log({ kind: "tool.call", agentId: "bench", sessionId: sessionOf(caller, n), metadata })
      ),
      raw: perOperation(callers, each, (caller, n) => {
        const chain = `session:${sessionOf(caller, n)}`
        const seq = (seqs.get(chain) ?? 0) + 1
        seqs.set(chain, seq)
        return raw({ chain, seq })
      }),
      naive: perOperation(callers, size.quick ? 1 : 4, (caller, n) => naive(`session:${sessionOf(caller, n)}`))
    })
    const what = `Durable \`Audit.log\`, ${callers} callers, ${chains === 1 ? "1 chain" : `${chains} chains`}`
    const figures = (other: number) => `${perSecond(median(costs.ours))} against ${perSecond(other)}`
    rows.push(
      {
        id: "P1",
        what,
        against:
          "multi-row INSERT of as many rows into a table with the same columns, constraints and indexes, by the same queue and driver on one connection, without chains or hashes",
        goal: { atLeast: goals.raw },
        measured: ratios(costs.raw, costs.ours),
        unit: "x",
        figures: figures(median(costs.raw))
      },
      {
        id: "P1",
        what,
        against: "lock, read the last row, hash, insert, commit: one transaction an event, pool of 16, the same driver",
        goal: { atLeast: goals.naive },
        measured: ratios(costs.naive, costs.ours),
        unit: "x",
        figures: figures(median(costs.naive))
      }
    )
  }
  const { appended, spooled } = yield* audit.stats
  if (spooled > 0 || appended === 0) return yield* Effect.die(new Error("the events did not go to the database"))
  return rows
}, Effect.scoped)

const metadata = { note: "a row of a benchmark", number: 1 }
