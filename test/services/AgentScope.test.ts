import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ScopePolicyInput } from "../../src/schema/AgentScope.ts"
import { SessionId } from "../../src/schema/Ids.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { governed } from "../../src/services/Governor.ts"
import { Presence } from "../../src/services/Presence.ts"
import { agentKinds, doneWithin, kinds, lined, memory, newLine } from "./World.ts"

const agentId = "clerk"
const register = (policy: ScopePolicyInput, agent = agentId) =>
  Effect.flatMap(AgentScope, (scope) => scope.register({ agentId: agent, ...policy }))
const check = (
  target: { readonly tool?: string; readonly api?: string; readonly sessionId?: string },
  agent = agentId
) => Effect.flatMap(AgentScope, (scope) => scope.check(agent, target))
const refused = (target: Parameters<typeof check>[0], agent = agentId) => Effect.flip(check(target, agent))

describe("AgentScope", () => {
  it.effect("keeps lists that nobody can change afterwards (SCP-01)", () =>
    Effect.gen(function* () {
      const allowedTools = ["read"]
      yield* register({ allowedTools })
      allowedTools.push("delete")
      yield* check({ tool: "read" })
      assert.strictEqual((yield* refused({ tool: "delete" }))._tag, "ScopeViolation")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("is in force as soon as register returns, also while the store is down (SCP-02, SCP-09)", () =>
    Effect.gen(function* () {
      yield* register({ allowedTools: ["read"] })
      yield* check({ tool: "read" })
      assert.strictEqual((yield* refused({ tool: "write" }))._tag, "ScopeViolation")
    }).pipe(Effect.provide(lined(newLine("down"))))
  )

  it.effect("denies by default: no policy, then what is not listed; both say what to do (SCP-03)", () =>
    Effect.gen(function* () {
      const none = yield* refused({ tool: "read" })
      assert.strictEqual(none._tag, "PolicyNotRegistered")
      yield* register({ allowedTools: ["read", "list*"], allowedApis: ["GET https://api.example.com/v1/*"] })
      const violation = yield* refused({ tool: "write", sessionId: "s1" })
      assert.strictEqual(violation._tag, "ScopeViolation")
      assert.include(violation.message, "read, list*")
      yield* check({ api: "GET https://api.example.com/v1/charges" })
      assert.strictEqual((yield* refused({ api: "POST https://api.example.com/v1/charges" }))._tag, "ScopeViolation")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("writes a scope.violation row for what it refuses, and none for a missing policy (SCP-03)", () =>
    Effect.gen(function* () {
      yield* Effect.ignore(check({ tool: "write", sessionId: "s1" }))
      yield* register({ allowedTools: ["read"] })
      yield* Effect.ignore(check({ tool: "write", sessionId: "s1" }))
      yield* Effect.ignore(check({ tool: "write" }))
      assert.deepStrictEqual(yield* kinds("s1"), ["scope.violation"])
      const [row] = yield* (yield* Audit).getEvents({ sessionId: SessionId.make("s1") })
      assert.deepInclude(Object(row?.metadata), { target: { kind: "tool", name: "write" }, policyOf: agentId })
      assert.deepStrictEqual(yield* agentKinds(agentId), ["scope.violation", "scope.violation"])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("asks for the halt before the policy, and for both before the arguments (SCP-04)", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* refused({}))._tag, "InvalidInput")
      const presence = yield* Presence
      yield* presence.halt(agentId, { by: "ada", reason: "stop" })
      assert.strictEqual((yield* refused({}))._tag, "AgentHaltedError")
      assert.strictEqual((yield* refused({ tool: "read" }))._tag, "AgentHaltedError")
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "compares exactly or by a trailing star: no case folding, no glob, no regular expression (SCP-05, SEC-06)",
    () =>
      Effect.gen(function* () {
        yield* register({ allowedTools: ["refund", "list_*", "a.b", "x*y"] })
        for (const tool of ["refund", "list_", "list_orders", "a.b", "x*y"]) yield* check({ tool })
        const tricks = ["Refund", "REFUND", "refund ", "refund2", "List_orders", "axb", "xzy", "ref", "list", "*", ""]
        for (const tool of tricks) {
          const error = yield* refused({ tool })
          assert.include(["ScopeViolation", "InvalidInput"], error._tag, tool)
        }
      }).pipe(Effect.provide(memory()))
  )

  it.effect("says the same of a name as a governed call does, controls and look-alikes included (H-08)", () =>
    Effect.gen(function* () {
      yield* register({ allowedTools: ["refund"] })
      for (const tool of [
        "refund\u0000",
        "ref\u0007und",
        "\u001b[31mrefund",
        "refu\u0301nd",
        "ｒefund",
        "refund\u200b"
      ]) {
        const direct = yield* Effect.exit(check({ tool }))
        const whole = yield* Effect.exit(Effect.void.pipe(governed({ agentId, tool })))
        assert.strictEqual(direct._tag, whole._tag, JSON.stringify(tool))
      }
      assert.strictEqual((yield* refused({ tool: "refu\u0301nd" }))._tag, "ScopeViolation")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("checks a tool and an api of one call both (SCP-03)", () =>
    Effect.gen(function* () {
      yield* register({ allowedTools: ["fetch"], allowedApis: [] })
      assert.strictEqual((yield* refused({ tool: "fetch", api: "GET https://x" }))._tag, "ScopeViolation")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("hides tools from the model, and what is hidden from the agent above it (SCP-06, BEY-09)", () =>
    Effect.gen(function* () {
      const scope = yield* AgentScope
      yield* register({ allowedTools: ["*"], hiddenTools: ["admin_*"] }, "boss")
      yield* check({ tool: "x" }, "boss")
      yield* (yield* Presence).delegate("boss", "intern")
      yield* register({ allowedTools: ["*"], hiddenTools: ["pay"] }, "intern")
      const tools = [{ name: "read" }, { name: "pay" }, { name: "admin_drop" }]
      assert.deepStrictEqual(yield* scope.filterTools("boss", tools), [{ name: "read" }, { name: "pay" }])
      assert.deepStrictEqual(yield* scope.filterTools("intern", tools), [{ name: "read" }])
      assert.deepStrictEqual(yield* scope.filterTools("intern", ["read", "pay"]), ["read"])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("passes the list through without a policy, unless it is told to be strict (C-17)", () =>
    Effect.gen(function* () {
      const scope = yield* AgentScope
      assert.deepStrictEqual(yield* scope.filterTools("stranger", ["a", "b"]), ["a", "b"])
      const error = yield* Effect.flip(scope.filterTools("stranger", ["a"], { strict: true }))
      assert.strictEqual(error._tag, "PolicyNotRegistered")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("requireTool runs the check before the body (SCP-07)", () =>
    Effect.gen(function* () {
      const scope = yield* AgentScope
      yield* register({ allowedTools: ["read"] })
      let ran = 0
      const body = Effect.sync(() => ++ran)
      assert.strictEqual(yield* scope.requireTool("read", agentId)(body), 1)
      assert.strictEqual((yield* Effect.flip(scope.requireTool("write", agentId)(body)))._tag, "ScopeViolation")
      assert.strictEqual(ran, 1)
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "lets model calls through a plain tool list, and holds them to allowedModels and allowLlmCalls (SCP-08, OQ-08)",
    () =>
      Effect.gen(function* () {
        const call = (model: string, llm?: string) =>
          Effect.void.pipe(governed({ agentId, model, llm, inputTokens: 1, maxTokens: 1 }), Effect.result)
        yield* register({ allowedTools: ["read"] })
        assert.strictEqual((yield* call("gpt-4o"))._tag, "Success")
        yield* register({ allowedTools: ["read"], allowedModels: ["gpt-4o"] })
        assert.strictEqual((yield* call("gpt-4o"))._tag, "Success")
        assert.strictEqual((yield* call("gpt-4o-mini"))._tag, "Failure")
        yield* register({ allowedTools: ["llm.openai.chat"], allowLlmCalls: false })
        assert.strictEqual((yield* call("gpt-4o", "llm.openai.chat"))._tag, "Success")
        assert.strictEqual((yield* call("gpt-4o", "llm.anthropic.messages"))._tag, "Failure")
      }).pipe(Effect.provide(memory()))
  )

  it.effect("answers from memory while the store hangs, halts as last known (SCP-09, PRS-09)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* register({ allowedTools: ["read"] })
      yield* check({ tool: "read" })
      line.state = "hanging"
      yield* check({ tool: "read" })
      // The row of the refusal waits for the audit deadline, the answer for nothing else.
      const error = yield* doneWithin("1 second")(refused({ tool: "write" }))
      assert.strictEqual(error._tag, "ScopeViolation")
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect("refuses a policy that it cannot understand, and says which (ENT-04, ERR-14)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(register({ allowedTools: [""] }))
      assert.strictEqual(error._tag, "ConfigurationError")
      assert.include(error.message, agentId)
    }).pipe(Effect.provide(memory()))
  )
})
