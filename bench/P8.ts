import { Context, Effect } from "effect"
import OpenAI from "openai"
import * as Host from "../src/integrations/Host.ts"
import { governWith } from "../src/integrations/OpenAi.ts"
import * as Memory from "../src/layers/Memory.ts"
import { AgentScope } from "../src/services/AgentScope.ts"
import { Cost } from "../src/services/Cost.ts"
import { FakeProvider } from "../src/testing/FakeProvider.ts"
import { BenchServer } from "./BenchServer.ts"
import { build } from "./Build.ts"
import * as CountingProxy from "./CountingProxy.ts"
import * as GovernedDatabase from "./GovernedDatabase.ts"
import { interleaved, median, p50, ratios, spread } from "./Rounds.ts"
import { ms, type Row, type Size } from "./Row.ts"

/** A call through a wrapped client against the same call through the bare one, and the round trips that wrapping adds. */
export const run = Effect.fnUntraced(function* (size: Size) {
  const server = yield* BenchServer
  const { appUrl } = yield* server.database("p8")
  const provider = yield* Effect.acquireRelease(
    Effect.promise(() => FakeProvider.start({ text: "Fine.", usage: { input: 10, output: 5 } })),
    (it) => Effect.promise(it.close)
  )
  const bare = new OpenAI({ apiKey: "sk-bench", baseURL: provider.openAiUrl })
  const clients = {
    bare,
    memory: yield* governedClient(provider, Memory.layer({ warnOnNoWrappers: false })),
    postgres: yield* governedClient(provider, GovernedDatabase.layer(appUrl))
  }
  const calls = size.quick ? 20 : 100
  const create = (client: OpenAI) => (n: number) =>
    Effect.promise(() =>
      client.chat.completions.create({
        model,
        max_completion_tokens: 50,
        messages: [{ role: "user", content: `${n}` }]
      })
    )
  const costs = yield* interleaved(size.rounds, {
    bare: p50(calls, create(clients.bare)),
    memory: p50(calls, create(clients.memory)),
    postgres: p50(calls, create(clients.postgres))
  })
  const rows: Array<Row> = (["memory", "postgres"] as const).map((stores) => ({
    id: "P8",
    what: `One \`chat.completions.create\` of a governed OpenAI client, stores ${stores === "memory" ? "in memory" : "on PostgreSQL"}, one caller, p50`,
    against: "the same of the bare client; the provider answers at once, from a server in the same process",
    goal: null,
    measured: ratios(costs[stores], costs.bare),
    unit: "x",
    figures: `${ms(median(costs[stores]))} against ${ms(median(costs.bare))}`
  }))
  return [...rows, yield* roundTrips(size, provider)]
}, Effect.scoped)

const roundTrips = Effect.fnUntraced(function* (size: Size, provider: FakeProvider) {
  const { appUrl } = yield* (yield* BenchServer).database("p8_trips")
  const proxy = yield* CountingProxy.make(appUrl, delayMs)
  const client = yield* governedClient(provider, GovernedDatabase.layer(proxy.url))
  const create = (n: number) =>
    client.chat.completions.create({ model, max_completion_tokens: 50, messages: [{ role: "user", content: `${n}` }] })
  for (let n = 0; n < 4; n++) yield* Effect.promise(() => create(n))
  const counted: Array<number> = []
  for (let n = 0; n < Math.max(10, size.rounds); n++) {
    proxy.take()
    yield* Effect.promise(() => create(10 + n))
    counted.push(CountingProxy.sequential(proxy.take().filter(({ by }) => !by.includes("listen"))))
  }
  const row: Row = {
    id: "P8",
    what: "Round trips to PostgreSQL of one `chat.completions.create` of a governed OpenAI client",
    against: `counted at a proxy that adds ${delayMs} ms each way, as P4`,
    goal: { atMost: 2 },
    measured: spread(counted),
    unit: "",
    figures: ""
  }
  return row
})

const governedClient = Effect.fnUntraced(function* <E, R>(
  provider: FakeProvider,
  layer: Parameters<typeof build<Host.HostServices | Cost, E, R>>[0]
) {
  const services = yield* build(layer)
  yield* Context.get(services, AgentScope).register({ agentId, allowedTools: ["*"] })
  yield* Context.get(services, Cost).register({ agentId, perSessionUsd: "1000", perAgentUsdDaily: "10000" })
  const governance = yield* Effect.provide(Host.make, services)
  const client = new OpenAI({ apiKey: "sk-bench", baseURL: provider.openAiUrl })
  return governWith(client, { governance, agentId, sessionId: "p8" })
})

const agentId = "bench"
const model = "gpt-4o-mini"
const delayMs = 25
