import { Context, Effect } from "effect"
import { AgentScope } from "../src/services/AgentScope.ts"
import { Cost } from "../src/services/Cost.ts"
import { Governor } from "../src/services/Governor.ts"
import { Loop } from "../src/services/Loop.ts"
import { Presence } from "../src/services/Presence.ts"
import { BenchServer } from "./BenchServer.ts"
import { build } from "./Build.ts"
import * as CountingProxy from "./CountingProxy.ts"
import * as GovernedDatabase from "./GovernedDatabase.ts"
import { spread, timed } from "./Rounds.ts"
import type { Row, Size } from "./Row.ts"

/** Each way; a round trip is twice that. Long against everything the two processes compute. */
const delayMs = 25

/** Whole governed calls through a proxy that makes each round trip long and counts them. */
export const run = Effect.fnUntraced(function* (size: Size) {
  const { appUrl } = yield* (yield* BenchServer).database("p4")
  const proxy = yield* CountingProxy.make(appUrl, delayMs)
  const services = yield* build(GovernedDatabase.layer(proxy.url))
  const governor = Context.get(services, Governor)
  yield* Context.get(services, AgentScope).register({
    agentId,
    allowedTools: ["search"],
    allowedApis: ["llm.call"]
  })
  yield* Context.get(services, Cost).register({ agentId, perSessionUsd: "100", perAgentUsdDaily: "1000" })
  yield* Context.get(services, Loop).register({
    agentId,
    windowSeconds: 60,
    maxCalls: 1000,
    progress: { maxRepeats: 30 }
  })
  yield* Context.get(services, Presence).heartbeat(agentId)

  const calls = {
    tool: (n: number) =>
      governor.run({ agentId, sessionId, tool: "search", input: { query: n } }, () => Effect.succeed(n)),
    model: (n: number) =>
      governor.run({ agentId, sessionId, model: "gpt-4o", maxTokens: 100, input: { prompt: n } }, (ticket) =>
        ticket.report({ usage: { model: "gpt-4o", inputTokens: 20, outputTokens: 10 } })
      )
  }
  const rows: Array<Row> = []
  for (const kind of ["tool", "model"] as const) {
    for (let n = 0; n < 4; n++) yield* calls[kind](n)
    const counted: Array<number> = []
    const lasted: Array<number> = []
    let all = 0
    for (let n = 0; n < Math.max(10, size.rounds); n++) {
      proxy.take()
      lasted.push((yield* timed(calls[kind](10 + n))) / (2 * delayMs))
      const cycles = proxy.take().filter(({ by }) => !by.includes("listen"))
      counted.push(CountingProxy.sequential(cycles))
      all += cycles.length
    }
    const time = spread(lasted)
    rows.push({
      id: "P4",
      what: `Round trips of a whole governed ${kind} call, scope, budget, loop, presence and audit on`,
      against: `counted at a proxy that adds ${delayMs} ms each way: query cycles (first byte of a query to ReadyForQuery) that began only after another had ended`,
      goal: { atMost: 2 },
      measured: spread(counted),
      unit: "",
      figures: `${(all / counted.length).toFixed(1)} statements a call; it lasted ${time.median.toFixed(2)} round trips (${time.min.toFixed(2)}..${time.max.toFixed(2)})`
    })
  }
  return rows
}, Effect.scoped)

const agentId = "bench"
const sessionId = "p4"
