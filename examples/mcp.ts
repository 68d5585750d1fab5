// Both ends of MCP: a server whose tools are governed for whoever calls it, and an agent whose calls of a server are governed.
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { Console, Effect } from "effect"
import { AgentScope, Cost, Gates, Presence } from "effect-governance"
import { governClient, governServer } from "effect-governance/mcp"
import * as Memory from "effect-governance/memory"
import { z } from "zod"

const newServer = () => {
  const server = new McpServer({ name: "shop", version: "1.0.0" })
  const said = (text: string) => ({ content: [{ type: "text" as const, text }] })
  server.registerTool("refund", { inputSchema: { order: z.string(), usd: z.number() } }, ({ order, usd }) =>
    said(`refunded ${usd} for ${order}`)
  )
  server.registerTool("wipe", {}, () => said("wiped"))
  return server
}

const connected = (server: McpServer, client: Client) =>
  Effect.promise(async () => {
    const [ours, theirs] = InMemoryTransport.createLinkedPair()
    await Promise.all([server.connect(theirs), client.connect(ours)])
  })

/** What a tool said, or why it did not run. */
const use = (who: string, client: Client, name: string, input: Record<string, unknown> = {}) =>
  Effect.tryPromise({ try: () => client.callTool({ name, arguments: input }), catch: (error) => error }).pipe(
    Effect.map(({ content }) => JSON.stringify(content)),
    Effect.catch((error) => Effect.succeed(`refused: ${error instanceof Error ? error.message : error}`)),
    Effect.flatMap((said) => Console.log(`${who}, ${name}: ${said.replace(/[0-9a-f-]{36}/, "<id>")}`))
  )

const order = { order: "A-17", usd: 30 }

const program = Effect.gen(function* () {
  const scope = yield* AgentScope.AgentScope
  const cost = yield* Cost.Cost
  // For the server, `visitor` is whoever calls it; the agent `clerk` calls a server that this program names `shop`.
  yield* scope.register({ agentId: "visitor", allowedTools: ["refund"], hiddenTools: ["wipe"] })
  yield* scope.register({ agentId: "clerk", allowedTools: ["mcp.shop.refund"] })
  yield* cost.register({ agentId: "clerk", perSessionUsd: 50 })
  yield* (yield* Presence.Presence).heartbeat("visitor", { operatorId: "olga@example.org" })

  const server = yield* governServer(newServer(), {
    ...{ agentId: "visitor", sessionId: "today", approval: { required: true } }
  })
  const visitor = new Client({ name: "visitor", version: "1.0.0" })
  yield* connected(server, visitor)
  const { tools } = yield* Effect.promise(() => visitor.listTools())
  yield* Console.log(`visitor sees: ${tools.map(({ name }) => name).join()}`)
  yield* use("visitor", visitor, "wipe")
  yield* use("visitor", visitor, "refund", order)
  const gates = yield* Gates.Gates
  for (const { gate, token } of yield* gates.list()) {
    yield* Console.log(`rita approves: ${gate.kind} ${gate.payload}`)
    yield* gates.grant(token ?? "", { by: "rita@example.org" })
  }
  yield* use("visitor", visitor, "refund", order)

  const agent = yield* governClient(new Client({ name: "clerk", version: "1.0.0" }), {
    ...{ agentId: "clerk", sessionId: "today", server: "shop", maxUsd: { refund: 30 } }
  })
  yield* connected(newServer(), agent)
  yield* use("clerk", agent, "refund", order)
  yield* use("clerk", agent, "wipe")
  yield* use("clerk", agent, "refund", order)
})

Effect.runPromise(program.pipe(Effect.provide(Memory.layer())))
