import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { Effect, Layer, ManagedRuntime } from "effect"
import { z } from "zod"
import type { ScopePolicyInput } from "../../../src/schema/AgentScope.ts"
import { Gates } from "../../../src/services/Gates.ts"
import { capture, memory } from "../../services/World.ts"
import { agentId, governedAgent, halt, money, outcomes } from "../Agent.ts"

export { agentId, rejection, sessionId, until } from "../Agent.ts"

type Services = Layer.Success<ReturnType<typeof memory>>

export interface WorldOptions {
  readonly scope?: Partial<ScopePolicyInput>
  readonly requireApproval?: ReadonlyArray<string>
  readonly perSessionUsd?: number
}

export const openWorld = async (options: WorldOptions = {}) => {
  const log = capture()
  const runtime = ManagedRuntime.make(Layer.provideMerge(memory(), log.layer))
  const run = <A, E>(effect: Effect.Effect<A, E, Services>) => runtime.runPromise(effect)
  const governance = await run(
    governedAgent({
      scope: { allowedApis: ["*"], ...options.scope },
      budget: { perSessionUsd: options.perSessionUsd ?? 10 },
      gated: options.requireApproval ?? []
    })
  )
  return {
    governance,
    run,
    logged: log.named,
    money: () => run(money()),
    kinds: () => run(outcomes()),
    halt: () => run(halt),
    cards: () => run(Gates.use((gates) => gates.list({ agentId }))),
    grant: async (more: object = {}) =>
      run(
        Effect.gen(function* () {
          const gates = yield* Gates
          for (;;) {
            const [card] = yield* gates.list({ agentId })
            if (card?.token != null) return yield* gates.grant(card.token, { by: "rita@example.org", ...more })
            yield* Effect.sleep("5 millis")
          }
        })
      ),
    [Symbol.asyncDispose]: () => runtime.dispose()
  }
}
export type World = Awaited<ReturnType<typeof openWorld>>

/** What the server's tools were run with. */
export const newServer = (ran: Array<unknown> = []) => {
  const server = new McpServer({ name: "shop", version: "1.0.0" })
  const inputSchema = { order: z.string(), usd: z.number() }
  const text = (said: string) => ({ content: [{ type: "text" as const, text: said }] })
  server.registerTool("refund", { inputSchema }, (args) => text(`did ${ran.push(args)}`))
  server.registerTool("lookup", {}, () => text(`did ${ran.push("lookup")}`))
  server.registerTool("slow", {}, async (extra) => {
    ran.push("slow")
    await new Promise<void>((resolve) => extra.signal.addEventListener("abort", () => resolve()))
    ran.push("slow aborted")
    return text("late")
  })
  server.registerTool("broken", {}, () => {
    throw new Error("out of paper")
  })
  server.registerResource("note", "file:///notes/a", {}, (uri) => ({ contents: [{ uri: uri.href, text: "secret" }] }))
  server.registerPrompt("sort", {}, () => ({
    messages: [{ role: "user", content: { type: "text", text: "sort it" } }]
  }))
  return server
}

export const newClient = () => new Client({ name: "agent", version: "1.0.0" })

export const connect = async (
  server: { connect(transport: InMemoryTransport): Promise<void> },
  client: { connect(transport: InMemoryTransport): Promise<void> }
) => {
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  await Promise.all([server.connect(theirs), client.connect(ours)])
}
