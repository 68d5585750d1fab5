import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { Effect, Layer, ManagedRuntime } from "effect"
import { z } from "zod"
import * as Host from "../../../src/integrations/Host.ts"
import type { ScopePolicyInput } from "../../../src/schema/AgentScope.ts"
import { AgentScope } from "../../../src/services/AgentScope.ts"
import { Audit } from "../../../src/services/Audit.ts"
import { Cost } from "../../../src/services/Cost.ts"
import { Gates } from "../../../src/services/Gates.ts"
import { Policies } from "../../../src/services/Policies.ts"
import { Presence } from "../../../src/services/Presence.ts"
import { capture, memory } from "../../services/World.ts"

export const agentId = "clerk"
export const sessionId = "s1"
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
    Effect.gen(function* () {
      yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"], allowedApis: ["*"], ...options.scope })
      yield* (yield* Cost).register({ agentId, perSessionUsd: options.perSessionUsd ?? 10 })
      yield* (yield* Presence).heartbeat(agentId, { operatorId: "olga@example.org" })
      yield* (yield* Policies).register(agentId, "gate", { requireApproval: [...(options.requireApproval ?? [])] })
      return yield* Host.make
    })
  )
  return {
    governance,
    run,
    logged: log.named,
    money: () =>
      run(
        Effect.map(
          Cost.use((cost) => cost.snapshot(agentId, sessionId)),
          ({ state }) => ({ spent: Number(state.sessionUsd), held: Number(state.heldUsd) })
        )
      ),
    kinds: () =>
      run(
        Effect.map(
          Audit.use((audit) => audit.traceSessionChain(sessionId)),
          (rows) => rows.map(({ kind, metadata }) => [kind, Object(metadata).result].filter(Boolean).join(" "))
        )
      ),
    halt: () => run(Presence.use((presence) => presence.halt(agentId, { by: "ada", reason: "stop" }))),
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

export const rejection = (promise: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(promise).then(
    (value) => {
      throw new Error(`did not reject, but gave ${JSON.stringify(value)}`)
    },
    (error: unknown) => error
  )

export const until = async (is: () => boolean | Promise<boolean>): Promise<void> => {
  const from = performance.now()
  while (!(await is())) {
    if (performance.now() - from > 5000) throw new Error(`never happened: ${is}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
