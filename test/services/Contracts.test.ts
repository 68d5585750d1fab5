import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { CheckedCall } from "../../src/schema/Contract.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Contracts } from "../../src/services/Contracts.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Presence } from "../../src/services/Presence.ts"
import { doneWithin, has, kinds, lined, memory, newLine } from "./World.ts"

const agentId = "clerk"
const call = { agentId, sessionId: "s1", tool: "pay" }
const message = "must hold"
const register = (contract: object, more: object = {}) =>
  Contracts.use((contracts) => contracts.register({ agentId, tool: "pay", ...contract, ...more } as never))
const custom = (name: string) => ({ check: "custom", message, params: { name } })
const checkCalled = (name: string, check: (call: CheckedCall) => unknown) =>
  Contracts.use((contracts) => contracts.registerCheck(name, check as never))
const pre = (more: object = {}) => Contracts.use((contracts) => contracts.checkPre({ ...call, ...more }))
const post = (result?: unknown, more: object = {}) =>
  Contracts.use((contracts) => contracts.checkPost({ ...call, ...more }, result))

describe("A contract", () => {
  it.effect(
    "is frozen when it is registered, one for each agent and tool, and can be read (CON-01, CON-03, V8-12)",
    () =>
      Effect.gen(function* () {
        const contracts = yield* Contracts
        const params = { name: "small", max: 5 }
        const condition = { check: "custom", message, params }
        const given = { agentId, tool: "pay", pre: [condition] }
        yield* contracts.register(given)
        yield* contracts.register({ agentId, tool: "mail", post: [{ check: "audit_logged", message }] })
        yield* contracts.register({ agentId: "other", tool: "pay" })
        params.max = 1000
        given.pre.pop()
        const [pay, mail] = yield* contracts.contractsOf(agentId)
        has(pay!, { tool: "pay", pre: [{ check: "custom", message, params: { name: "small", max: 5 } }], post: [] })
        has(mail!, { tool: "mail", pre: [] })
        assert.isTrue(Object.isFrozen(pay) && Object.isFrozen(pay?.pre) && Object.isFrozen(pay?.pre?.[0]?.params))
        yield* contracts.register({ agentId, tool: "pay" })
        const [replaced, ...more] = yield* contracts.contractsOf(agentId)
        has(replaced!, { tool: "pay", pre: [], post: [] })
        assert.strictEqual(more.length, 1)
        assert.deepStrictEqual(yield* contracts.contractsOf("nobody"), [])
      }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "has at most 20 conditions of each kind, names of known length and plain JSON; else nothing changes (CON-01)",
    () =>
      Effect.gen(function* () {
        const conditions = (count: number) => Array.from({ length: count }, () => ({ check: "scope_allowed", message }))
        yield* register({ pre: conditions(20), post: conditions(20) })
        const bad = [
          { pre: conditions(21) },
          { post: conditions(21) },
          { agentId: "" },
          { tool: "" },
          { tool: "x".repeat(513) },
          { pre: [{ check: "", message }] },
          { pre: [{ check: "x".repeat(257), message }] },
          { pre: [{ check: "custom" }] },
          { pre: [{ check: "custom", message: "x".repeat(2001) }] },
          { pre: [{ check: "custom", message, params: { at: new Date(0) } }] },
          { pre: [{ check: "custom", message, params: { big: "x".repeat(70_000) } }] },
          { pre: [{ check: "custom", message, parms: {} }] },
          { before: [] },
          { pre: "custom" }
        ]
        for (const more of bad) {
          has(yield* Effect.flip(register(more)), { _tag: "InvalidInput", field: "contract" })
        }
        for (const whole of [null, undefined, 7, "x", []]) {
          const error = yield* Effect.flip(Contracts.use((contracts) => contracts.register(whole as never)))
          assert.strictEqual(error._tag, "InvalidInput")
        }
        const [kept] = yield* Contracts.use((contracts) => contracts.contractsOf(agentId))
        assert.strictEqual(kept?.pre?.length, 20)
      }).pipe(Effect.provide(memory()))
  )

  it.effect("a check has a name of 1 to 256 characters and is a function (CON-06)", () =>
    Effect.gen(function* () {
      for (const name of ["", "x".repeat(257), "\u0007", 7]) {
        has(yield* Effect.flip(checkCalled(name as never, () => Effect.succeed(true))), { field: "name" })
      }
      has(yield* Effect.flip(checkCalled("x", true as never)), { field: "check" })
      yield* checkCalled("x".repeat(256), () => Effect.succeed(true))
    }).pipe(Effect.provide(memory()))
  )
})

describe("Checking directly", () => {
  it.effect("passes without a contract, also while the store is down (CON-04, 39)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* register({ pre: [custom("no")] }, { tool: "another" })
      yield* (yield* Presence).assertNotHalted(agentId)
      line.state = "down"
      yield* pre()
      yield* post()
      assert.strictEqual(yield* Effect.succeed(7).pipe((yield* Contracts).enforce(call)), 7)
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect(
    "a broken condition is told with agent, tool, phase, check and message, and is in the log (ERR-07, CON-04)",
    () =>
      Effect.gen(function* () {
        yield* checkCalled("small", ({ params, result }) => Effect.succeed(result === params.want))
        const condition = { check: "custom", message: "at most 5", params: { name: "small", want: 1 } }
        yield* register({ pre: [condition], post: [condition] })
        const facts = { agentId, tool: "pay", check: "custom", custom: "small", says: "at most 5", problem: "false" }
        const before = yield* Effect.flip(pre())
        has(before, { ...facts, _tag: "ContractViolation", phase: "pre", contractOf: agentId })
        for (const part of ["pay", agentId, "small", "at most 5", "before"]) assert.include(before.message, part)
        has(yield* Effect.flip(post(2)), { ...facts, phase: "post" })
        yield* post(1)
        const rows = yield* Effect.flatMap(Audit, (audit) => audit.traceSessionChain("s1"))
        assert.deepStrictEqual(
          rows.map(({ kind }) => kind),
          ["contract.pre_violation", "contract.post_violation"]
        )
        has(rows[0]?.metadata as object, { check: "custom", custom: "small", tool: "pay", says: "at most 5" })
      }).pipe(Effect.provide(memory()))
  )

  it.effect("asks in order and stops at the first that does not hold (CON-04)", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      for (const [name, holds] of [
        ["a", true],
        ["b", false],
        ["c", true]
      ] as const) {
        yield* checkCalled(name, () => Effect.sync(() => asked.push(name) > 0 && holds))
      }
      yield* register({ pre: [custom("a"), custom("b"), custom("c")] })
      has(yield* Effect.flip(pre()), { custom: "b" })
      assert.deepStrictEqual(asked, ["a", "b"])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("scope_allowed asks what the agent and those above it may touch (CON-02)", () =>
    Effect.gen(function* () {
      const scope = yield* AgentScope
      yield* register({ pre: [{ check: "scope_allowed", message }] })
      has(yield* Effect.flip(pre()), { check: "scope_allowed", problem: "false" })
      yield* scope.register({ agentId, allowedTools: ["pay"] })
      yield* pre()
      yield* scope.register({ agentId, allowedTools: ["mail"] })
      has(yield* Effect.flip(pre()), { check: "scope_allowed" })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("budget_available asks for what the call may cost, and holds nothing (CON-02)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* register({ pre: [{ check: "budget_available", message }] })
      yield* pre({ maxUsd: 5 })
      yield* cost.register({ agentId, perSessionUsd: 1 })
      yield* pre({ maxUsd: 1 })
      yield* pre({ maxUsd: 1 })
      has(yield* Effect.flip(pre({ maxUsd: "1.01" })), { check: "budget_available", problem: "false" })
      has(yield* Effect.flip(pre({ maxUsd: "much" })), { _tag: "InvalidInput", field: "usd" })
      const { state } = yield* cost.snapshot(agentId, "s1")
      assert.deepStrictEqual([state.sessionUsd, state.heldUsd], [0n, 0n] as never)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("hitl_approved is about one exact call: without an approval of it the answer is no (DEC-09)", () =>
    Effect.gen(function* () {
      yield* register({ pre: [{ check: "hitl_approved", message }] })
      has(yield* Effect.flip(pre()), { check: "hitl_approved", problem: "false" })
      has(yield* Effect.flip(pre({ input: { amount: 1 } })), { check: "hitl_approved", problem: "false" })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("audit_logged looks for the row by its id; without an id the answer is no (CON-02)", () =>
    Effect.gen(function* () {
      yield* register({ post: [{ check: "audit_logged", message }] })
      const row = yield* (yield* Audit).log({ kind: "tool.call", agentId, sessionId: "s1" })
      yield* post(undefined, { eventId: row.id })
      has(yield* Effect.flip(post()), { check: "audit_logged", problem: "false" })
      has(yield* Effect.flip(post(undefined, { eventId: "x" })), { _tag: "InvalidInput", field: "eventId" })
      const other = post(undefined, { eventId: "00000000-0000-4000-8000-000000000000" })
      has(yield* doneWithin("1 second")(Effect.flip(other)), { check: "audit_logged", problem: "false" })
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "a check that nobody knows fails closed, whatever it is called and in whichever phase (CON-02, CON-05)",
    () =>
      Effect.gen(function* () {
        yield* checkCalled("real", () => Effect.succeed(true))
        const unknown: ReadonlyArray<readonly ["pre" | "post", object]> = [
          ["pre", { check: "no_such_check" }],
          ["pre", { check: "constructor" }],
          ["pre", { check: "__proto__" }],
          ["pre", { check: "HITL_APPROVED" }],
          ["pre", { check: "real" }],
          ["pre", { check: "audit_logged" }],
          ["post", { check: "hitl_approved" }],
          ["post", { check: "scope_allowed" }],
          ["pre", { check: "custom" }],
          ["pre", { check: "custom", params: {} }],
          ["pre", { check: "custom", params: { name: "unreal" } }],
          ["pre", { check: "custom", params: { name: "toString" } }],
          ["post", { check: "custom", params: { name: ["real"] } }],
          ["pre", { check: "custom", params: { name: 7 } }]
        ]
        for (const [phase, condition] of unknown) {
          yield* register({ [phase]: [{ message, ...condition }] })
          const error = yield* Effect.flip(phase === "pre" ? pre() : post())
          has(error, { _tag: "ContractViolation", phase, problem: "unknown" })
        }
      }).pipe(Effect.provide(memory()))
  )

  const failing: Record<string, readonly [string, () => unknown]> = {
    "says false": ["false", () => Effect.succeed(false)],
    "says something that is only truthy": ["false", () => Effect.succeed("yes")],
    fails: ["threw", () => Effect.fail("no")],
    dies: ["threw", () => Effect.die(new Error("bug"))],
    throws: [
      "threw",
      () => {
        throw new Error("bug")
      }
    ],
    "returns no effect": ["threw", () => undefined],
    "interrupts itself": ["threw", () => Effect.interrupt],
    "never answers": ["late", () => Effect.never],
    "never answers and cannot be interrupted": [
      "late",
      () => Effect.uninterruptible(Effect.delay(Effect.succeed(true), "1 hour"))
    ]
  }
  for (const [what, [problem, check]] of Object.entries(failing)) {
    it.effect(`a custom check that ${what} is a violation, within the deadline (CON-06)`, () =>
      Effect.gen(function* () {
        yield* checkCalled("odd", check)
        yield* register({ pre: [custom("odd")], post: [custom("odd")] })
        for (const one of [pre(), post()]) has(yield* doneWithin("1 second")(Effect.flip(one)), { problem })
      }).pipe(Effect.provide(memory()))
    )
  }

  it.effect("all conditions share one deadline (U-12)", () =>
    Effect.gen(function* () {
      yield* checkCalled("slow", () => Effect.delay(Effect.succeed(true), "400 millis"))
      yield* register({ pre: [custom("slow"), custom("slow"), custom("slow")] })
      const fiber = yield* Effect.forkChild(Effect.flip(pre()))
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust("250 millis")
        for (let j = 0; j < 10; j++) yield* Effect.yieldNow
      }
      const exit = fiber.pollUnsafe()
      assert.isDefined(exit)
      has(yield* exit!, { problem: "late" })
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "a silent store is a StoreError before the work, and a violation after it: the work has been done (39)",
    () => {
      const line = newLine()
      return Effect.gen(function* () {
        yield* register({ pre: [{ check: "budget_available", message }], post: [{ check: "audit_logged", message }] })
        const row = yield* (yield* Audit).log({ kind: "tool.call", agentId, sessionId: "s1" })
        yield* pre()
        for (const how of ["down", "hanging"] as const) {
          line.state = how
          assert.strictEqual((yield* doneWithin("1 second")(Effect.flip(pre())))._tag, "StoreError")
          const after = yield* doneWithin("2 seconds")(Effect.flip(post(1, { eventId: row.id })))
          has(after, { _tag: "ContractViolation", phase: "post", problem: "unanswered" })
          line.state = "up"
        }
        assert.strictEqual((yield* Effect.flip(pre({ agentId: "\u0000" })))._tag, "InvalidInput")
      }).pipe(Effect.provide(lined(line)))
    }
  )

  it.effect("an agent that the store has not placed does not get around contracts above it (BEY-09)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* register({ pre: [custom("no")] }, { agentId: "boss" })
      line.state = "down"
      assert.strictEqual((yield* Effect.flip(pre({ agentId: "stranger" })))._tag, "StoreError")
      yield* pre({ agentId: "stranger", tool: "read" })
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect("a contract binds those whom its agent delegates to, and theirs binds them too (BEY-09)", () =>
    Effect.gen(function* () {
      const presence = yield* Presence
      yield* presence.heartbeat("boss")
      yield* presence.delegate("boss", "intern")
      yield* checkCalled("yes", () => Effect.succeed(true))
      yield* register({ pre: [custom("no")] }, { agentId: "boss" })
      yield* register({ pre: [custom("yes")] }, { agentId: "intern" })
      has(yield* Effect.flip(pre({ agentId: "intern" })), { agentId: "intern", contractOf: "boss", custom: "no" })
      yield* register({ pre: [custom("yes")] }, { agentId: "boss" })
      yield* pre({ agentId: "intern" })
      yield* register({ pre: [custom("no")] }, { agentId: "intern" })
      has(yield* Effect.flip(pre({ agentId: "intern" })), { contractOf: "intern" })
      yield* pre({ agentId: "boss" })
    }).pipe(Effect.provide(memory()))
  )
})

describe("Contracts.enforce", () => {
  it.effect(
    "runs nothing when a condition before it is broken, and withholds the result when one after it is (CON-04)",
    () =>
      Effect.gen(function* () {
        const contracts = yield* Contracts
        const seen: Array<unknown> = []
        let ran = 0
        const work = Effect.sync(() => ({ paid: ++ran }))
        yield* checkCalled("gate", ({ input }) => Effect.succeed(input === "open"))
        yield* checkCalled("paid", ({ result, resultHash }) =>
          Effect.sync(() => {
            seen.push(result, resultHash?.length)
            return false
          })
        )
        yield* register({ pre: [custom("gate")], post: [custom("paid")] })
        has(yield* Effect.flip(work.pipe(contracts.enforce(call))), { phase: "pre" })
        assert.strictEqual(ran, 0)
        has(yield* Effect.flip(work.pipe(contracts.enforce({ ...call, input: "open" }))), { phase: "post" })
        assert.strictEqual(ran, 1)
        assert.deepStrictEqual(seen, [{ paid: 1 }, 64])
        assert.deepStrictEqual(yield* kinds("s1"), ["contract.pre_violation", "contract.post_violation"])
      }).pipe(Effect.provide(memory()))
  )

  it.effect("lets an error of the work through, and asks nothing after it", () =>
    Effect.gen(function* () {
      yield* register({ post: [custom("no")] })
      const error = yield* Effect.flip(Effect.fail("broken").pipe((yield* Contracts).enforce(call)))
      assert.strictEqual(error, "broken")
    }).pipe(Effect.provide(memory()))
  )
})
