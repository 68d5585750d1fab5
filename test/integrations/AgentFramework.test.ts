import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AgtBridge, wrapAgtAgent } from "../../src/integrations/AgentFramework.ts"
import * as Host from "../../src/integrations/Host.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { isHaltError } from "../../src/schema/GovernanceError.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { Wrappers } from "../../src/services/Wrappers.ts"

const inMemory = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.provide(self, Memory.layer({ warnOnNoWrappers: false }), { local: true })

const options = Effect.gen(function* () {
  yield* (yield* Policies).register("clerk", "scope", { allowedTools: ["agent.run"] })
  return { governance: yield* Host.make, agentId: "clerk", sessionId: "s" }
})

const kinds = Effect.gen(function* () {
  const events = yield* (yield* Audit).getEvents({ agentId: AgentId.make("clerk") })
  return events.map(({ kind }) => kind)
})

class Clerk {
  runs = 0
  async run(input: string, times: number) {
    this.runs += 1
    return `${input}${times}`
  }
}

describe("an agent of any framework", () => {
  it.live("runs behind every room, with its own arguments and its own this (WRP-08, WRP-09)", () =>
    Effect.gen(function* () {
      const agent = wrapAgtAgent(new Clerk(), yield* options)
      assert.strictEqual(yield* Effect.promise(() => agent.run("a", 2)), "a2")
      assert.strictEqual(agent.runs, 1)
      assert.includeMembers([...(yield* kinds)], ["tool.call", "tool.result"])
      assert.isTrue((yield* Wrappers).registered().has("agent-framework"))
      assert.strictEqual(wrapAgtAgent(agent, yield* options), agent)
      yield* Effect.promise(() => agent.run("b", 1))
      assert.strictEqual((yield* kinds).filter((kind) => kind === "tool.call").length, 2)
    }).pipe(inMemory)
  )

  it.live("does not run out of scope or halted (WRP-08, BEY-05)", () =>
    Effect.gen(function* () {
      const all = yield* options
      const agent = wrapAgtAgent(new Clerk(), { ...all, tool: "clerk.other" })
      const refused = yield* Effect.promise(() => agent.run("a", 1).catch((e: unknown) => e))
      assert.strictEqual((refused as { _tag?: string })._tag, "ScopeViolation")
      yield* (yield* Presence).halt("clerk", { by: "op", reason: "stop" })
      const halted = yield* Effect.promise(() =>
        wrapAgtAgent(new Clerk(), all)
          .run("a", 1)
          .catch((e: unknown) => e)
      )
      assert.isTrue(isHaltError(halted))
      assert.strictEqual(agent.runs, 0)
    }).pipe(inMemory)
  )

  it.live("is refused at once when its run is no async function (WRP-08)", () =>
    Effect.gen(function* () {
      const all = yield* options
      const blocking = { run: () => Promise.resolve(1) }
      assert.throws(() => wrapAgtAgent(blocking, all), /async method run/)
    }).pipe(inMemory)
  )
})

describe("AgtBridge", () => {
  it.live("writes the spans it knows, under kinds that no gate and no governed call uses (WRP-08)", () =>
    Effect.gen(function* () {
      const bridge = new AgtBridge(yield* options)
      yield* Effect.promise(async () => {
        await bridge.consume({ kind: "tool_call", name: "refund", input: { usd: 1 } })
        await bridge.consume({ kind: "llm_call", model: "gpt-4o" })
        for (const outcome of ["granted", "denied", undefined]) await bridge.consume({ kind: "hitl_approval", outcome })
        for (const strange of [{ kind: "other" }, null, 7, { kind: "tool_call", circular: () => 1 }])
          await bridge.consume(strange)
      })
      assert.includeMembers(
        [...(yield* kinds)],
        [
          "framework.tool_call",
          "framework.llm_call",
          "framework.approval_granted",
          "framework.approval_denied",
          "framework.approval_requested"
        ]
      )
      assert.notInclude(yield* kinds, "framework.other")
    }).pipe(inMemory)
  )
})
