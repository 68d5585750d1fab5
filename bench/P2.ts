import { Context, Effect } from "effect"
import * as Database from "../src/layers/postgres/Database.ts"
import { Audit } from "../src/services/Audit.ts"
import { BenchServer } from "./BenchServer.ts"
import { build } from "./Build.ts"
import * as GovernedDatabase from "./GovernedDatabase.ts"
import * as RawAppend from "./RawAppend.ts"
import { interleaved, median, p50, ratios } from "./Rounds.ts"
import { ms, type Row, type Size } from "./Row.ts"

/** One `Audit.log` of one caller whose chain is warm. */
export const run = Effect.fnUntraced(function* (size: Size) {
  const { appUrl, ownerUrl } = yield* (yield* BenchServer).database("p2")
  const audit = Context.get(yield* build(GovernedDatabase.layer(appUrl)), Audit)
  const { hot: pool } = Context.get(yield* build(Database.layerFromUrl(ownerUrl)), Database.Database)
  yield* RawAppend.makeTable(pool, "bench_rows")
  const raw = RawAppend.single(pool, "bench_rows")
  let seq = 0
  const calls = size.quick ? 20 : 100
  const costs = yield* interleaved(size.rounds, {
    ours: p50(calls, () => audit.log({ kind: "tool.call", agentId: "bench", sessionId: "p2", metadata })),
    raw: p50(calls, () => raw({ chain: "session:p2", seq: ++seq }))
  })
  return [
    {
      id: "P2",
      what: "One durable `Audit.log`, one caller, p50",
      against: "the p50 of one INSERT of one row of the same table, same driver",
      goal: { atMost: 1.5 },
      measured: ratios(costs.ours, costs.raw),
      unit: "x",
      figures: `${ms(median(costs.ours))} against ${ms(median(costs.raw))}`
    }
  ] satisfies ReadonlyArray<Row>
}, Effect.scoped)

const metadata = { note: "a row of a benchmark", number: 1 }
