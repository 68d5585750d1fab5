import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema } from "effect"
import { McpProtocol, McpServer, McpTest, Tool, Toolkit } from "effect/ai"
import { McpServer as Governed, Toolkit as GovernedToolkit } from "../../../src/integrations/EffectAi.ts"
import type { ScopePolicyInput } from "../../../src/schema/AgentScope.ts"
import { AgentScope } from "../../../src/services/AgentScope.ts"
import { Cost } from "../../../src/services/Cost.ts"
import { Gates } from "../../../src/services/Gates.ts"
import { Policies } from "../../../src/services/Policies.ts"
import { Presence } from "../../../src/services/Presence.ts"
import { memory } from "../../services/World.ts"
import { agentId, halt, kinds, money, sessionId } from "./World.ts"

const Amount = Schema.Struct({ order: Schema.String, usd: Schema.Finite })
const Refund = Tool.make("refund", { parameters: Amount, success: Schema.String })
const Pay = Tool.make("pay", { parameters: Amount, success: Schema.String, needsApproval: ({ usd }) => usd > 100 })
const Wait = Tool.make("wait", { success: Schema.String })
const Broken = Tool.make("broken", { success: Schema.String, failure: Schema.String })
const Tools = Toolkit.make(Refund, Pay, Wait, Broken)

interface Options extends Partial<Governed.McpServerOptions> {
  readonly scope?: Partial<ScopePolicyInput>
  readonly both?: boolean
}

/** A client of a governed server, and what the server's tools were run with. */
const opened = Effect.fnUntraced(function* ({ both = false, scope, ...options }: Options = {}) {
  const ran: Array<unknown> = []
  yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"], allowedApis: ["*"], ...scope })
  yield* (yield* Cost).register({ agentId, perSessionUsd: 4 })
  yield* (yield* Presence).heartbeat(agentId, { operatorId: "olga@example.org" })
  const did = (params: unknown) => Effect.sync(() => `did ${ran.push(params)}`)
  const handlers = Tools.toLayer({
    refund: did,
    pay: did,
    wait: () => Effect.andThen(did("wait"), Effect.never),
    broken: () => Effect.fail("out of paper")
  })
  const registrations = Layer.mergeAll(
    McpServer.toolkit(Tools).pipe(
      Layer.provide(both ? handlers.pipe(GovernedToolkit.govern(Tools, { agentId, sessionId })) : handlers)
    ),
    McpServer.resource({ uri: "file:///notes/a", name: "note", content: Effect.succeed("secret") }),
    McpServer.prompt({ name: "sort", content: () => Effect.succeed("sort it") }),
    Governed.layer({ agentId, sessionId, toolkits: [Tools], ...options })
  )
  const client = yield* McpTest.makeClient(registrations, { protocols: [McpProtocol.v2025_06_18] })
  const call = (name: string, args: object = { order: "A-17", usd: 5 }) =>
    client.callTool({ name, arguments: { ...args } })
  return { client, call, ran }
})

const grant = Effect.gen(function* () {
  const gates = yield* Gates
  const [card] = yield* gates.list({ agentId })
  return yield* gates.grant(card?.token ?? "", { by: "rita@example.org" })
})

describe("An MCP server of effect/ai behind the rooms (BEY-03)", () => {
  it.live("answers as before; each use of a tool is one call, also where its handlers are governed as well", () =>
    Effect.gen(function* () {
      for (const both of [false, true]) {
        const { call, ran } = yield* opened({ both, maxUsd: { refund: 1 } })
        const result = yield* call("refund")
        assert.isFalse(result.isError ?? false)
        assert.deepStrictEqual(ran, [{ order: "A-17", usd: 5 }])
      }
      assert.deepStrictEqual(yield* money(), { spent: 2_000_000_000, held: 0 })
      assert.strictEqual((yield* kinds()).length, 4)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live("refuses what the policy does not list, and says no more than which error it was (SCP-01, T-14)", () =>
    Effect.gen(function* () {
      const { call, ran } = yield* opened({ scope: { allowedTools: ["pay"] } })
      const error = yield* Effect.flip(call("refund"))
      assert.strictEqual(error.code, -32011)
      assert.deepStrictEqual(error.data, { error: "ScopeViolation", request: null })
      assert.notInclude(error.message, "pay")
      assert.strictEqual(ran.length, 0)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live("stops at the budget: 20 calls at once for 4 run 4 (DEC-18)", () =>
    Effect.gen(function* () {
      const { call, ran } = yield* opened({ maxUsd: { refund: 1 } })
      yield* Effect.all(
        Array.from({ length: 20 }, () => Effect.exit(call("refund"))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(ran.length, 4)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live("neither lists nor finds hidden tools: the same answer as for one that is not there (SCP-06)", () =>
    Effect.gen(function* () {
      const { call, client, ran } = yield* opened({ scope: { hiddenTools: ["refund"] } })
      const { tools } = yield* client.listTools()
      assert.deepStrictEqual(
        tools.map(({ name }) => name),
        ["pay", "wait", "broken"]
      )
      const hidden = yield* Effect.flip(call("refund"))
      const absent = yield* Effect.flip(call("nothing"))
      assert.deepStrictEqual(
        [hidden.code, hidden.message.replace("refund", "nothing"), hidden.data],
        [absent.code, absent.message, absent.data]
      )
      assert.strictEqual(ran.length, 0)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live(
    "says that a person is asked, by the request's id and without a token; the same call after the grant runs once (BEY-02, GAT-04)",
    () =>
      Effect.gen(function* () {
        yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["refund"] })
        const { call, ran } = yield* opened()
        const error = yield* Effect.flip(call("refund"))
        const [card] = yield* (yield* Gates).list({ agentId })
        assert.strictEqual(error.code, -32010)
        assert.deepStrictEqual(error.data, { error: "ApprovalPending", request: card?.gate.requestId })
        assert.notInclude(JSON.stringify(error), card?.token ?? "no token")
        yield* Effect.flip(call("refund"))
        yield* grant
        yield* call("refund")
        yield* Effect.flip(call("refund"))
        assert.strictEqual(ran.length, 1)
      }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live("needsApproval asks the gate, with or without governed handlers (BEY-03)", () =>
    Effect.gen(function* () {
      for (const both of [false, true]) {
        const { call, ran } = yield* opened({ both })
        const large = call("pay", { order: "A", usd: both ? 101 : 102 })
        yield* call("pay")
        assert.strictEqual((yield* Effect.flip(large)).code, -32010)
        yield* grant
        yield* large
        assert.strictEqual(ran.length, 2)
      }
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live("a halt ends a running call, and no other begins (BEY-05)", () =>
    Effect.gen(function* () {
      const { call, ran } = yield* opened()
      const running = yield* Effect.forkChild(Effect.flip(call("wait", {})))
      while (ran.length === 0) yield* Effect.sleep("5 millis")
      yield* halt
      assert.strictEqual((yield* Fiber.join(running)).code, -32012)
      assert.strictEqual((yield* Effect.flip(call("refund"))).code, -32012)
      assert.strictEqual(ran.length, 1)
      assert.strictEqual((yield* money()).held, 0)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live("resources and prompts are apis (SCP-01)", () =>
    Effect.gen(function* () {
      const { client } = yield* opened({ scope: { allowedApis: ["prompt:*"] } })
      assert.strictEqual((yield* Effect.flip(client.readResource({ uri: "file:///notes/a" }))).code, -32011)
      assert.strictEqual((yield* client.getPrompt({ name: "sort" })).messages.length, 1)
      assert.strictEqual((yield* client.listResources()).resources.length, 1)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live("each request may be of an agent of its own", () =>
    Effect.gen(function* () {
      const { call } = yield* opened({ agentId: ({ target }) => (target === "pay" ? agentId : "nobody") })
      yield* call("pay")
      assert.deepStrictEqual((yield* Effect.flip(call("refund"))).data, { error: "PolicyNotRegistered", request: null })
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.live("a tool's own failure reaches the client as it is, and is in the log", () =>
    Effect.gen(function* () {
      const { call } = yield* opened()
      const result = yield* call("broken", {})
      assert.isTrue(result.isError)
      assert.include(JSON.stringify(result.content), "out of paper")
      assert.strictEqual((yield* Effect.flip(call("refund", { order: 1 }))).code, -32602)
      assert.deepStrictEqual(
        (yield* kinds()).map((row) => row.split(" ")[0]),
        ["tool.call", "tool.result", "tool.call", "tool.result"]
      )
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )
})
