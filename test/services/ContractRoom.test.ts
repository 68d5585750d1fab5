import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Option, Stream } from "effect"
import type { CheckedCall } from "../../src/schema/Contract.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Contracts } from "../../src/services/Contracts.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Governor, governed, governedStream } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { ended, started } from "../gates/Gates.ts"
import { random, Seed } from "../schema/JsonArbitrary.ts"
import { capture, cent, has, kinds, lined, memory, newLine, usd } from "./World.ts"

const agentId = "clerk"
const sessionId = "s1"
const call = { agentId, sessionId, tool: "pay" }
const message = "must hold"
const allow = Effect.flatMap(AgentScope, (scope) =>
  scope.register({ agentId, allowedTools: ["*"], allowedApis: ["*"] })
)
const register = (contract: object, more: object = {}) =>
  Contracts.use((contracts) => contracts.register({ agentId, tool: "pay", ...contract, ...more }))
const custom = (name: string) => ({ check: "custom", message, params: { name } })
const checkCalled = (name: string, check: (call: CheckedCall) => Effect.Effect<boolean, unknown>) =>
  Contracts.use((contracts) => contracts.registerCheck(name, check))
const yes = checkCalled("yes", () => Effect.succeed(true))
const rows = Effect.flatMap(Audit, (audit) => audit.traceSessionChain(sessionId))
const spent = Effect.map(
  Effect.flatMap(Cost, (cost) => cost.snapshot(agentId, sessionId)),
  ({ state }) => [state.sessionUsd, state.heldUsd]
)
/** A call that says whether it ran. */
const watched = () => {
  const seen = { ran: 0 }
  return { seen, run: Effect.sync(() => ++seen.ran) }
}

describe("Room 3: contracts before a governed call (CON-04, design 5)", () => {
  it.effect("a broken condition runs nothing, costs nothing, and is the only row of the call", () =>
    Effect.gen(function* () {
      yield* allow
      yield* register({ pre: [custom("missing")] })
      const { run, seen } = watched()
      const error = yield* Effect.flip(run.pipe(governed({ ...call, maxUsd: 1 })))
      has(error, { _tag: "ContractViolation", phase: "pre", problem: "unknown", agentId, tool: "pay" })
      assert.strictEqual(seen.ran, 0)
      assert.deepStrictEqual(yield* kinds(sessionId), ["contract.pre_violation"])
      has((yield* rows)[0]?.metadata as object, {
        ...{ refused: "ContractViolation", name: "pay", check: "custom", custom: "missing", problem: "unknown" },
        ...{ says: message, contractOf: agentId }
      })
      assert.deepStrictEqual(yield* spent, [0n, 0n] as never)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("stands behind scope and before cost and gates", () =>
    Effect.gen(function* () {
      yield* register({ pre: [custom("missing")] })
      const refusal = Effect.map(
        Effect.flip(Effect.void.pipe(governed({ ...call, maxUsd: 5, approval: { wait: false } }))),
        ({ _tag }) => _tag
      )
      assert.strictEqual(yield* refusal, "PolicyNotRegistered")
      yield* allow
      yield* (yield* Cost).register({ agentId, perSessionUsd: 1 })
      yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"] })
      assert.strictEqual(yield* refusal, "ContractViolation")
      yield* yes
      yield* register({ pre: [custom("yes")] })
      assert.include(["ApprovalPending", "BudgetExceeded"], yield* refusal)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("a custom check sees this call: its input and hash, its session, its parameters", () =>
    Effect.gen(function* () {
      yield* allow
      const seen: Array<CheckedCall> = []
      yield* checkCalled("look", (checked) => Effect.sync(() => seen.push(checked) > 0))
      yield* register({ pre: [{ check: "custom", message, params: { name: "look", max: 5 } }] })
      yield* Effect.void.pipe(governed({ ...call, input: { amount: 3 } }))
      const [checked] = seen
      has(checked!, { ...call, contractOf: agentId, input: { amount: 3 }, result: undefined, resultHash: null })
      has(checked!.params, { name: "look", max: 5 })
      assert.strictEqual(checked?.inputHash, (yield* rows)[0]?.inputHash)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("hitl_approved holds where a person will be asked about this call, and nowhere else (DEC-09)", () =>
    Effect.gen(function* () {
      yield* allow
      yield* register({ pre: [{ check: "hitl_approved", message }] })
      const { run, seen } = watched()
      has(yield* Effect.flip(run.pipe(governed(call))), { _tag: "ContractViolation", check: "hitl_approved" })
      const noWait = { ...call, approval: { wait: false } }
      yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"] })
      assert.strictEqual((yield* Effect.flip(run.pipe(governed(noWait))))._tag, "ApprovalPending")
      yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["other"] })
      has(yield* Effect.flip(run.pipe(governed(noWait))), { _tag: "ContractViolation", check: "hitl_approved" })
      const asked = { ...call, approval: { wait: false, required: true } }
      assert.strictEqual((yield* Effect.flip(run.pipe(governed(asked))))._tag, "ApprovalPending")
      assert.strictEqual(seen.ran, 0)
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "hitl_approved holds for exactly the call that was approved before, which uses it up: it runs once (DEC-09)",
    () =>
      Effect.gen(function* () {
        yield* allow
        yield* (yield* Presence).heartbeat(agentId, { operatorId: "olga" })
        yield* register({
          pre: [
            { check: "hitl_approved", message },
            { check: "hitl_approved", message }
          ]
        })
        const gates = yield* Gates
        const contracts = yield* Contracts
        const { run, seen } = watched()
        const input = { usd: "5" }
        const paying = run.pipe(governed({ ...call, input }))
        const refused = { _tag: "ContractViolation", check: "hitl_approved", problem: "false" }
        const { requestId, token } = yield* gates.request("pay", agentId, input, { sessionId })
        has(yield* Effect.flip(paying), refused)
        has(yield* Effect.flip(contracts.checkPre({ ...call, input })), refused)
        yield* gates.grant(token, { by: "rita" })
        has(yield* Effect.flip(run.pipe(governed({ ...call, input: { usd: "6" } }))), refused)
        has(yield* Effect.flip(run.pipe(governed({ ...call, sessionId: "s2", input }))), refused)
        has(yield* Effect.flip(contracts.checkPre(call)), refused)
        // Asking directly uses nothing up.
        yield* contracts.checkPre({ ...call, input })
        yield* contracts.checkPre({ ...call, input })
        yield* paying
        has(yield* Effect.flip(paying), refused)
        has(yield* Effect.flip(contracts.checkPre({ ...call, input })), refused)
        assert.strictEqual(seen.ran, 1)
        const [gate, ...more] = yield* gates.list({ which: "all" })
        assert.deepStrictEqual([gate?.gate.requestId, gate?.gate.state, more], [requestId, "consumed", []])
      }).pipe(Effect.provide(memory()))
  )

  it.effect("with gates off hitl_approved holds for nothing that could run (ENT-05)", () =>
    Effect.gen(function* () {
      yield* allow
      yield* register({ pre: [{ check: "hitl_approved", message }] })
      const { run, seen } = watched()
      has(yield* Effect.flip(run.pipe(governed({ ...call, input: 1 }))), { check: "hitl_approved" })
      has(yield* Effect.flip((yield* Contracts).checkPre({ ...call, input: 1 })), { check: "hitl_approved" })
      yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"] })
      assert.strictEqual((yield* Effect.flip(run.pipe(governed({ ...call, input: 1 }))))._tag, "ApprovalPending")
      assert.strictEqual(seen.ran, 0)
    }).pipe(Effect.provide(memory({ enableGates: false })))
  )

  it.effect("what no longer holds when the approval comes refuses the call, and leaves the approval unused", () =>
    Effect.gen(function* () {
      yield* allow
      yield* (yield* Presence).heartbeat(agentId, { operatorId: "olga" })
      yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"] })
      let open = true
      yield* checkCalled("open", () => Effect.sync(() => open))
      yield* register({ pre: [custom("open"), { check: "hitl_approved", message }] })
      const gates = yield* Gates
      const { run, seen } = watched()
      const fiber = yield* started(run.pipe(governed(call)))
      const [card] = yield* gates.list()
      open = false
      yield* gates.grant(card?.token ?? "", { by: "rita" })
      has(Option.getOrThrow(Exit.findErrorOption(yield* ended(fiber))), {
        _tag: "ContractViolation",
        phase: "pre",
        custom: "open"
      })
      assert.strictEqual((yield* gates.list({ which: "granted" })).length, 1)
      open = true
      yield* run.pipe(governed(call))
      assert.strictEqual(seen.ran, 1)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("scope_allowed and budget_available are the questions of rooms 2 and 4", () =>
    Effect.gen(function* () {
      yield* allow
      yield* register({
        pre: [
          { check: "scope_allowed", message },
          { check: "budget_available", message }
        ]
      })
      const { run } = watched()
      assert.strictEqual(yield* run.pipe(governed({ ...call, maxUsd: 2 })), 1)
      yield* (yield* Cost).register({ agentId, perSessionUsd: 3 })
      has(yield* Effect.flip(run.pipe(governed({ ...call, maxUsd: 2 }))), { check: "budget_available" })
      assert.deepStrictEqual(yield* spent, [200n * cent, 0n] as never)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("binds tools alone, by their exact name, and no other agent", () =>
    Effect.gen(function* () {
      yield* allow
      yield* (yield* AgentScope).register({ agentId: "other", allowedTools: ["*"] })
      yield* register({ pre: [custom("missing")] })
      const others = [
        { agentId, tool: "Pay" },
        { agentId, tool: "pay2" },
        { agentId, api: "pay" },
        { agentId, model: "gpt-4o", llm: "pay", inputTokens: 1, maxTokens: 1 },
        { agentId: "other", tool: "pay" }
      ]
      for (const one of others) yield* Effect.void.pipe(governed(one))
      const disguised = Effect.void.pipe(governed({ agentId, tool: "\u001b[31mpa\u0000y" }))
      assert.strictEqual((yield* Effect.flip(disguised))._tag, "ContractViolation")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("a contract binds whoever its agent delegates to (BEY-09)", () =>
    Effect.gen(function* () {
      const presence = yield* Presence
      yield* presence.heartbeat("boss")
      yield* presence.delegate("boss", agentId)
      yield* allow
      yield* (yield* AgentScope).register({ agentId: "boss", allowedTools: ["*"] })
      yield* register({ pre: [custom("missing")] }, { agentId: "boss" })
      has(yield* Effect.flip(Effect.void.pipe(governed(call))), { agentId, contractOf: "boss" })
      yield* register({ post: [custom("missing")] }, { agentId: "boss" })
      has(yield* Effect.flip(Effect.void.pipe(governed(call))), { phase: "post", contractOf: "boss" })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("leaves the one-step way to calls without a contract", () =>
    Effect.gen(function* () {
      yield* allow
      yield* checkCalled("later", () => Effect.delay(Effect.succeed(true), "1 milli"))
      yield* register({ pre: [custom("later")] })
      const governor = yield* Governor
      const run = (tool: string) => governor.run({ agentId, tool }, () => Effect.succeed(tool))
      yield* run("read")
      // What needs no fiber has been done when runSync returns; a check that waits cannot have been.
      assert.strictEqual(Effect.runSync(run("read")), "read")
      assert.isTrue(Exit.isFailure(Effect.runSyncExit(run("pay"))))
    }).pipe(Effect.provide(memory()))
  )

  it.effect("a silent store refuses the call, and so it does with costFailOpen for one it has not placed (39)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* allow
      yield* (yield* AgentScope).register({ agentId: "stranger", allowedTools: ["*"] })
      yield* yes
      yield* register({ pre: [custom("yes")] })
      line.state = "down"
      const { run, seen } = watched()
      assert.strictEqual((yield* Effect.flip(run.pipe(governed({ ...call, agentId: "stranger" }))))._tag, "StoreError")
      assert.strictEqual(seen.ran, 0)
      yield* run.pipe(governed({ ...call, agentId: "stranger", tool: "read" }))
      assert.strictEqual(seen.ran, 1)
    }).pipe(Effect.provide(lined(line, { costFailOpen: true })))
  })

  it.effect.prop(
    "with any condition that does not hold the call never runs, wherever it stands and whosever contract it is",
    [Seed],
    ([seed]) =>
      Effect.gen(function* () {
        const next = random(seed)
        const presence = yield* Presence
        yield* presence.heartbeat("boss")
        yield* presence.delegate("boss", agentId)
        yield* allow
        yield* (yield* AgentScope).register({ agentId: "boss", allowedTools: ["*"] })
        yield* yes
        yield* checkCalled("no", () => (next() < 0.5 ? Effect.fail("no") : Effect.succeed(false)))
        const good = [custom("yes"), { check: "scope_allowed", message }, { check: "budget_available", message }]
        const bad = [
          custom("no"),
          custom("missing"),
          { check: "hitl_approved", message },
          { check: "unheard", message }
        ]
        const one = <A>(of: ReadonlyArray<A>) => of[Math.floor(next() * of.length)]!
        const some = () => Array.from({ length: Math.floor(next() * 10) }, () => one(good))
        const owners = { boss: some(), [agentId]: some() }
        const broken = next() < 0.7
        const owner = next() < 0.5 ? "boss" : agentId
        const conditions = owners[owner]!
        if (broken) conditions.splice(Math.floor(next() * (conditions.length + 1)), 0, one(bad))
        for (const [agent, conditions] of Object.entries(owners))
          yield* register({ pre: conditions }, { agentId: agent })
        const { run, seen } = watched()
        const whole = yield* Effect.exit(run.pipe(governed(call)))
        const direct = yield* Effect.exit(run.pipe((yield* Contracts).enforce(call)))
        assert.deepStrictEqual(
          [whole._tag, direct._tag, seen.ran],
          broken ? ["Failure", "Failure", 0] : ["Success", "Success", 2]
        )
      }).pipe(Effect.provide(memory(), { local: true })),
    { arbitrary: { runs: 100 } }
  )
})

describe("Room 8: contracts after a governed call (CON-04, design 5)", () => {
  const paying = Effect.flatMap(Governor, (governor) =>
    governor.run({ ...call, maxUsd: 1 }, (ticket) => Effect.as(ticket.report({ usd: usd(cent) }), { paid: true }))
  )

  it.effect("a broken condition withholds the result; the call is charged, and its outcome is failed", () =>
    Effect.gen(function* () {
      yield* allow
      const seen: Array<CheckedCall> = []
      yield* checkCalled("look", (checked) => Effect.sync(() => seen.push(checked) === 0))
      yield* register({ post: [custom("look")] })
      has(yield* Effect.flip(paying), { _tag: "ContractViolation", phase: "post", problem: "false" })
      assert.deepStrictEqual(seen[0]?.result, { paid: true })
      assert.match(seen[0]?.resultHash ?? "", /^[0-9a-f]{64}$/)
      const [attempt, violation, outcome, ...more] = yield* rows
      assert.deepStrictEqual(
        [attempt, violation, outcome].map((row) => row?.kind),
        ["tool.call", "contract.post_violation", "tool.result"]
      )
      assert.deepStrictEqual(more, [])
      assert.strictEqual(violation?.parentEventId, attempt?.id)
      has(outcome?.metadata as object, { result: "failed", error: "ContractViolation", usd: "0.01" })
      assert.deepStrictEqual(yield* spent, [cent, 0n] as never)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("audit_logged holds for a call whose attempt is stored", () =>
    Effect.gen(function* () {
      yield* allow
      yield* register({ post: [{ check: "audit_logged", message }] })
      assert.deepStrictEqual(yield* paying, { paid: true })
      assert.deepStrictEqual(yield* kinds(sessionId), ["tool.call", "tool.result"])
    }).pipe(Effect.provide(memory()))
  )

  it.live("audit_logged does not hold while the log is on this machine's disk alone", () => {
    const line = { ...newLine(), only: ["audit"] as const }
    return Effect.gen(function* () {
      yield* allow
      yield* register({ post: [{ check: "audit_logged", message }] })
      line.state = "down"
      has(yield* Effect.flip(paying), { phase: "post", check: "audit_logged", problem: "unanswered" })
      line.state = "up"
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect("asks nothing after a call that failed: its own error stays", () =>
    Effect.gen(function* () {
      yield* allow
      yield* register({ post: [custom("missing")] })
      assert.strictEqual(yield* Effect.flip(Effect.fail("own").pipe(governed(call))), "own")
      assert.deepStrictEqual(yield* kinds(sessionId), ["tool.call", "tool.result"])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("a scope and a stream are audited and warned of when they close: nobody is there to be failed", () => {
    const log = capture()
    return Effect.gen(function* () {
      yield* allow
      yield* register({ post: [custom("missing")] })
      const parts = yield* Stream.runCollect(Stream.make(1, 2).pipe(governedStream(call)))
      assert.deepStrictEqual([...parts], [1, 2])
      yield* Effect.scoped(Effect.flatMap(Governor, (governor) => governor.admit(call)))
      const each = ["tool.call", "contract.post_violation", "tool.result"]
      assert.deepStrictEqual(yield* kinds(sessionId), [...each, ...each])
      for (const row of (yield* rows).filter(({ kind }) => kind === "tool.result")) {
        has(row.metadata as object, { result: "failed", error: "ContractViolation" })
      }
      assert.strictEqual(log.named("contract.post_violation").length, 2)
    }).pipe(Effect.provide(memory()), Effect.provide(log.layer))
  })
})
