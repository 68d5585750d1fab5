import { assert, describe, it } from "@effect/vitest"
import { HumanMessage } from "@langchain/core/messages"
import { tool } from "@langchain/core/tools"
import { Command, MemorySaver } from "@langchain/langgraph"
import { Effect } from "effect"
import { createAgent, createMiddleware, humanInTheLoopMiddleware } from "langchain"
import { z } from "zod"
import * as LangChain from "../../../src/integrations/LangChain.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { Gates } from "../../../src/services/Gates.ts"
import { Policies } from "../../../src/services/Policies.ts"
import { Presence } from "../../../src/services/Presence.ts"
import { inMemory, world } from "./World.ts"

const arranged = Effect.fnUntraced(function* (more: Partial<LangChain.MiddlewareOptions> = {}) {
  const all = yield* world()
  const refunds: Array<unknown> = []
  const named = (name: string) =>
    tool(
      (input: object) => {
        refunds.push({ name, ...input })
        return "done"
      },
      { name, description: name, schema: z.object({ usd: z.string() }) }
    )
  const model = LangChain.governWith(all.openai(), all.options)
  const agent = (middleware: ReadonlyArray<AnyMiddleware> = [], checkpointer?: MemorySaver) =>
    // A list of middleware that is put together at run time has no type of its own for LangChain.
    createAgent({
      model,
      tools: [named("refund"), named("secret"), named("delete")],
      middleware: [...middleware, createMiddleware(LangChain.middleware({ ...all.options, ...more }))],
      checkpointer: checkpointer ?? false
    } as never) as unknown as Agent
  return { ...all, agent, refunds }
})

const asks = (name: string, usd = "10") => ({ toolCalls: [{ name, arguments: { usd }, id: "call_1" }] })
// Its types ask for zod 3; any middleware does for an agent.
const pausing = humanInTheLoopMiddleware({ interruptOn: { refund: true } } as never) as unknown as AnyMiddleware
interface Agent {
  readonly invoke: (
    input: object,
    config?: object
  ) => Promise<{ readonly messages: ReadonlyArray<{ readonly content: unknown }> }>
  readonly getState: (config: object) => Promise<{ readonly config: object }>
}
type AnyMiddleware = ReturnType<typeof createMiddleware>

const hello = { messages: [new HumanMessage("hello")] }

const granted = Effect.gen(function* () {
  const gates = yield* Gates
  for (;;) {
    const [card] = yield* gates.list()
    if (card !== undefined) return yield* gates.grant(card.token ?? "", { by: "rita", reason: "seen" })
    yield* Effect.sleep("5 millis")
  }
})

describe("an agent of LangChain behind the middleware", () => {
  it.live("runs its tools as governed calls; hidden ones are not offered (SCP-06, THR-07)", () =>
    Effect.gen(function* () {
      const { agent, refunds, server } = yield* arranged()
      server.next(asks("refund"), { text: "bye" })
      const result = yield* Effect.promise(() => agent().invoke(hello))
      assert.strictEqual(result.messages.at(-1)?.content, "bye")
      assert.deepStrictEqual(refunds, [{ name: "refund", usd: "10" }])
      assert.notInclude(JSON.stringify(server.requests[0]?.body.tools), "secret")
    }).pipe(inMemory())
  )

  it.live("a tool that the model invents or may not use does not run, however it is told (SCP-03, THR-07)", () =>
    Effect.gen(function* () {
      const { agent, refunds, server } = yield* arranged()
      server.next(asks("delete"))
      const error = yield* Effect.promise(() =>
        agent()
          .invoke(hello)
          .catch((e: unknown) => e)
      )
      assert.isTrue(isGovernanceError(error))
      assert.deepStrictEqual(refunds, [])
    }).pipe(inMemory())
  )

  it.live("a refused tool can be told to the model instead (refusedTools)", () =>
    Effect.gen(function* () {
      const { agent, refunds, server } = yield* arranged({ refusedTools: "tell" })
      server.next(asks("delete"), { text: "sorry" })
      const result = yield* Effect.promise(() => agent().invoke(hello))
      assert.strictEqual(result.messages.at(-1)?.content, "sorry")
      assert.include(JSON.stringify(server.requests[1]?.body), "may not use tool delete")
      assert.deepStrictEqual(refunds, [])
    }).pipe(inMemory())
  )

  it.live("a tool that needs a person waits, and runs with the arguments that were approved (BEY-10)", () =>
    Effect.gen(function* () {
      const { agent, refunds, server } = yield* arranged()
      yield* (yield* Policies).register("clerk", "gate", { requireApproval: ["refund"] })
      yield* (yield* Presence).heartbeat("clerk", { operatorId: "olga" })
      const gates = yield* Gates
      server.next(asks("refund", "5000"), { text: "bye" })
      const deciding = Effect.gen(function* () {
        for (;;) {
          const [card] = yield* gates.list()
          if (card !== undefined) {
            return yield* gates.grant(card.token ?? "", { by: "rita", reason: "less", arguments: { usd: "50" } })
          }
          yield* Effect.sleep("5 millis")
        }
      })
      yield* Effect.all([Effect.promise(() => agent().invoke(hello)), deciding], { concurrency: "unbounded" })
      assert.deepStrictEqual(refunds, [{ name: "refund", usd: "50" }])
    }).pipe(inMemory())
  )

  it.live("an approved run that is resumed three times runs its tool once (BEY-02)", () =>
    Effect.gen(function* () {
      const { agent, refunds, server } = yield* arranged({ approval: { wait: false } })
      yield* (yield* Policies).register("clerk", "gate", { requireApproval: ["refund"] })
      yield* (yield* Presence).heartbeat("clerk", { operatorId: "olga" })
      server.always((request) =>
        JSON.stringify(request.body).includes('"tool"') ? { text: "bye" } : asks("refund", "5000")
      )
      const memory = new MemorySaver()
      const graph = agent([pausing], memory)
      const config = { configurable: { thread_id: "t" } }
      yield* Effect.promise(() => graph.invoke(hello, config))
      const paused = yield* Effect.promise(() => graph.getState(config))
      const approve = () =>
        graph
          .invoke(new Command({ resume: { decisions: [{ type: "approve" }] } }), paused.config)
          .catch((error: unknown) => error)
      // What LangGraph calls approved is a message that anybody may have written: the gate asks its own person.
      assert.isTrue(isGovernanceError(yield* Effect.promise(approve)))
      assert.deepStrictEqual(refunds, [])
      yield* granted
      yield* Effect.promise(approve)
      yield* Effect.promise(approve)
      yield* Effect.promise(approve)
      assert.strictEqual(refunds.length, 1)
    }).pipe(inMemory())
  )

  it.live("a halt between model and tool stops the tool (BEY-05)", () =>
    Effect.gen(function* () {
      const { agent, refunds, server } = yield* arranged({ refusedTools: "tell" })
      const presence = yield* Presence
      const context = yield* Effect.context<Presence>()
      server.next(async () => {
        await Effect.runPromiseWith(context)(presence.halt("clerk", { by: "op", reason: "stop" }))
        return asks("refund")
      })
      const error = yield* Effect.promise(() =>
        agent()
          .invoke(hello)
          .catch((e: unknown) => e)
      )
      assert.isTrue(isHaltError(error))
      assert.deepStrictEqual(refunds, [])
    }).pipe(inMemory())
  )
})
