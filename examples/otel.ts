// What agents do, as OpenTelemetry spans. The collector here is ten lines of this program; in yours it is the address of a real one.
import { createServer } from "node:http"
import { text } from "node:stream/consumers"
import { Effect } from "effect"
import { AgentScope, Cost, Governor, governed } from "effect-governance"
import * as Memory from "effect-governance/memory"
import * as Otel from "effect-governance/otel"

const program = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["refund"] })
  yield* (yield* Cost.Cost).register({ agentId: "clerk", perAgentUsdDaily: "10.00" })
  const governor = yield* Governor.Governor
  const clerk = { agentId: "clerk", sessionId: "order-7" }
  yield* governor.run({ ...clerk, model: "gpt-4o", input: "May A-17 be refunded?", maxTokens: 100 }, (ticket) =>
    ticket.report({ usage: { model: "gpt-4o-2024-08-06", inputTokens: 12, outputTokens: 3 } })
  )
  yield* Effect.void.pipe(governed({ ...clerk, tool: "refund", input: { order: "A-17" } }))
  yield* Effect.void.pipe(governed({ ...clerk, tool: "delete order, password=hunter2" }), Effect.ignore)
})

const collector = createServer(async (request, response) => {
  const { resourceSpans } = JSON.parse(await text(request))
  for (const { attributes, name } of resourceSpans[0].scopeSpans[0].spans) {
    console.log(name)
    for (const { key, value } of attributes)
      if (/usage|cost|decision|error/.test(key)) console.log(`  ${key} = ${Object.values(value)[0]}`)
  }
  response.end("{}")
})

collector.listen(0, "127.0.0.1", async () => {
  const { port } = Object(collector.address())
  const governance = Memory.layer()
  await Effect.runPromise(
    program.pipe(Effect.provide(Otel.layer({ baseUrl: `http://127.0.0.1:${port}` })), Effect.provide(governance))
  )
  collector.closeAllConnections()
  collector.close()
})
