import { Effect } from "effect"
import type { TicketId } from "../src/schema/Ids.ts"
import { request, rig, spent } from "./Admission.ts"
import { BenchServer } from "./BenchServer.ts"
import { interleaved, median, p50, perOperation, ratios, spread } from "./Rounds.ts"
import { ms, type Row, type Size } from "./Row.ts"

const callers = 128

/** Admission and settlement: alone, and 128 callers on one agent. */
export const run = Effect.fnUntraced(function* (size: Size) {
  const { admission, agentId, insert } = yield* rig(yield* (yield* BenchServer).database("p3"))
  const open: Array<TicketId> = []
  const admit = (tool: string | null) =>
    Effect.suspend(() => {
      const call = request(agentId, tool)
      if (tool === null) open.push(call.ticket)
      return admission.admit(call)
    })
  const settle = Effect.suspend(() => admission.settle(agentId, open.pop()!, spent))

  const calls = size.quick ? 20 : 60
  const lone = yield* interleaved(size.rounds, {
    insert: p50(calls, () => insert),
    admit: p50(calls, () => admit(null)),
    tool: p50(calls, (n) => admit(`tool ${n}`)),
    // Opens what it settles, outside of the measured time.
    settle: Effect.andThen(
      Effect.forEach(Array.from({ length: calls }), () => admit(null), { concurrency: "unbounded", discard: true }),
      p50(calls, () => settle)
    )
  })
  const against = "the p50 of one INSERT of one row of a ticket's size into a table with a primary key, same driver"
  const figures = (cost: ReadonlyArray<number>) => `${ms(median(cost))} against ${ms(median(lone.insert))}`

  const each = size.quick ? 10 : 60
  const hot = yield* interleaved(size.rounds, {
    admit: perOperation(callers, each, () => admit(null)),
    settle: Effect.suspend(() => {
      open.length = 0
      return Effect.andThen(
        perOperation(callers, each, () => admit(null)),
        perOperation(callers, each, () => settle)
      )
    })
  })
  const rate = (costs: ReadonlyArray<number>) => spread(costs.map((cost) => 1 / cost))
  return [
    {
      id: "P3",
      what: "One admission of a model call: halt, five caps, hold",
      against,
      goal: { atMost: 2.2 },
      measured: ratios(lone.admit, lone.insert),
      unit: "x",
      figures: figures(lone.admit)
    },
    {
      id: "P3",
      what: "One admission of a tool call: the same and its loop window",
      against,
      goal: { atMost: 2.2 },
      measured: ratios(lone.tool, lone.insert),
      unit: "x",
      figures: figures(lone.tool)
    },
    {
      id: "P3",
      what: "One settlement",
      against,
      goal: null,
      measured: ratios(lone.settle, lone.insert),
      unit: "x",
      figures: figures(lone.settle)
    },
    {
      id: "P3",
      what: `Admissions on one hot agent, ${callers} callers, thousands a second`,
      against: "nothing: a rate of this machine",
      goal: { atLeast: 20 },
      measured: rate(hot.admit),
      unit: " k/s",
      figures: ""
    },
    {
      id: "P3",
      what: `Settlements on one hot agent, ${callers} callers, thousands a second`,
      against: "nothing: a rate of this machine",
      goal: null,
      measured: rate(hot.settle),
      unit: " k/s",
      figures: ""
    }
  ] satisfies ReadonlyArray<Row>
}, Effect.scoped)
