import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Memory from "../../src/layers/Memory.ts"
import { AgentId, SessionId } from "../../src/schema/Ids.ts"
import { NanoUsd } from "../../src/schema/Money.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Governor, governed, governedStream } from "../../src/services/Governor.ts"
import { Loop } from "../../src/services/Loop.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { newTicket } from "../../src/services/Rooms.ts"
import { Sweep } from "../../src/services/Sweep.ts"

const agentId = "clerk"
const sessionId = "s1"
const tool = (name: string, more: object = {}) => ({ agentId, sessionId, tool: name, ...more })

const usd = (amount: bigint) => NanoUsd.make(amount)
const cent = 10_000_000n

const kinds = (session = sessionId) =>
  Effect.gen(function* () {
    const audit = yield* Audit
    const records = yield* audit.traceSessionChain(session)
    return records.map((record) => record.kind)
  })

const world = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.provide(self, Memory.layer())

const allow = (...allowedTools: ReadonlyArray<string>) =>
  Effect.flatMap(AgentScope, (scope) => scope.register({ agentId, allowedTools }))

describe("governed", () => {
  it.effect("runs a call that every room lets through, and records attempt and outcome as a pair (BEY-06)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("refund")
        const value = yield* Effect.succeed("done").pipe(governed(tool("refund", { input: { order: 1 } })))
        assert.strictEqual(value, "done")
        const audit = yield* Audit
        const [attempt, outcome] = yield* audit.traceSessionChain(sessionId)
        assert.deepStrictEqual([attempt?.kind, outcome?.kind], ["tool.call", "tool.result"])
        assert.strictEqual(outcome?.parentEventId, attempt?.id)
        assert.isNotNull(attempt?.inputHash)
      })
    )
  )

  it.effect("refuses a tool that the policy does not list, runs nothing, and records why (SCP-03)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("lookup*")
        let ran = false
        const error = yield* Effect.sync(() => {
          ran = true
        }).pipe(governed(tool("refund")), Effect.flip)
        assert.strictEqual(error._tag, "ScopeViolation")
        assert.include(error.message, "lookup*")
        assert.isFalse(ran)
        assert.deepStrictEqual(yield* kinds(), ["scope.violation"])
      })
    )
  )

  it.effect("refuses everything without a policy (SCP-03)", () =>
    world(
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.void.pipe(governed(tool("anything"))))
        assert.strictEqual(error._tag, "PolicyNotRegistered")
      })
    )
  )

  it.effect("holds the worst case, settles the real cost, and gives the rest back (DEC-07)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("pay")
        const cost = yield* Cost
        yield* cost.register({ agentId, perSessionUsd: "0.10" })
        const governor = yield* Governor
        yield* governor.run(tool("pay", { maxUsd: "0.10" }), (ticket) => ticket.report({ usd: usd(cent) }))
        const { state, sessionUsdRemaining } = yield* cost.snapshot(agentId, sessionId)
        assert.strictEqual(state.sessionUsd, cent)
        assert.strictEqual(sessionUsdRemaining, 9n * cent)
        const short = yield* Effect.flip(Effect.void.pipe(governed(tool("pay", { maxUsd: "0.10" }))))
        assert.strictEqual(short._tag, "BudgetExceeded")
        yield* Effect.void.pipe(governed(tool("pay", { maxUsd: "0.09" })))
      })
    )
  )

  it.effect("charges a started call that reports nothing what was held for it, also when it fails (BEY-01)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("pay")
        const cost = yield* Cost
        yield* Effect.exit(Effect.fail("boom").pipe(governed(tool("pay", { maxUsd: "0.02" }))))
        const { state } = yield* cost.snapshot(agentId, sessionId)
        assert.strictEqual(state.sessionUsd, 2n * cent)
        assert.strictEqual(state.heldUsd, 0n)
      })
    )
  )

  it.effect("lets exactly ten of two hundred callers pass on a budget for ten (BEY-01, CST-18)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("pay")
        const cost = yield* Cost
        yield* cost.register({ agentId, perSessionUsd: "0.10" })
        const exits = yield* Effect.forEach(
          Array.from({ length: 200 }),
          () => Effect.exit(Effect.sleep(5).pipe(governed(tool("pay", { maxUsd: "0.01" })))),
          { concurrency: "unbounded" }
        ).pipe(
          Effect.forkChild,
          Effect.tap(() => TestClock.adjust("1 second")),
          Effect.flatMap(Fiber.join)
        )
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 10)
      })
    )
  )

  it.effect("stops an agent that calls one tool more often than its policy allows (LOP-02, DEC-20)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("search")
        const loop = yield* Loop
        yield* loop.register({ agentId, windowSeconds: 60, maxCalls: 3 })
        const call = Effect.void.pipe(governed(tool("Search".toLowerCase())))
        yield* Effect.repeat(call, { times: 2 })
        const error = yield* Effect.flip(call)
        assert.strictEqual(error._tag, "LoopDetected")
        yield* TestClock.adjust("2 minutes")
        yield* call
      })
    )
  )

  it.effect("lets a call go on that loops where the policy only logs, and records that it did (LOP-01, LOP-02)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("search")
        yield* (yield* Loop).register({ agentId, windowSeconds: 60, maxCalls: 1, action: "log" })
        const call = Effect.succeed("found").pipe(governed(tool("search")))
        yield* call
        assert.strictEqual(yield* call, "found")
        assert.deepStrictEqual(yield* kinds(), [
          "tool.call",
          "tool.result",
          "tool.call",
          "loop.detected",
          "tool.result"
        ])
      })
    )
  )

  it.effect("notices the same call with the same result, and gives its hold back (BEY-15, DEC-21)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("read")
        const loop = yield* Loop
        const cost = yield* Cost
        yield* loop.register({ agentId, windowSeconds: 60, maxCalls: 100, progress: { maxRepeats: 2 } })
        const read = (page: number) =>
          Effect.succeed({ text: "same" }).pipe(governed(tool("read", { input: { page }, maxUsd: "0.01" })))
        yield* read(1)
        yield* read(1)
        const error = yield* Effect.flip(read(1))
        assert.strictEqual(error._tag === "LoopDetected" && error.pattern, "repeat")
        yield* read(2)
        const { state } = yield* cost.snapshot(agentId, sessionId)
        assert.strictEqual(state.sessionUsd, 3n * cent)
        assert.strictEqual(state.heldUsd, 0n)
      })
    )
  )

  it.effect("refuses a halted agent before anything else is looked at (SCP-04, PRS-10)", () =>
    world(
      Effect.gen(function* () {
        const presence = yield* Presence
        yield* presence.halt(agentId, { by: "ada", reason: "enough" })
        const error = yield* Effect.flip(Effect.void.pipe(governed(tool("anything"))))
        assert.strictEqual(error._tag, "AgentHaltedError")
        assert.include(error.message, "enough")
        yield* presence.resume(agentId, { by: "ada" })
        const after = yield* Effect.flip(Effect.void.pipe(governed(tool("anything"))))
        assert.strictEqual(after._tag, "PolicyNotRegistered")
      })
    )
  )

  it.effect("interrupts a running call when its agent is halted, and its AbortSignal fires (BEY-05)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("wait")
        const presence = yield* Presence
        let aborted = false
        const started = yield* Deferred.make<void>()
        const call = Effect.tryPromise((signal) => {
          signal.addEventListener("abort", () => {
            aborted = true
          })
          Deferred.doneUnsafe(started, Effect.void)
          return new Promise(() => undefined)
        }).pipe(governed(tool("wait")), Effect.flip)
        const fiber = yield* Effect.forkChild(call)
        yield* Deferred.await(started)
        yield* presence.halt(agentId, { by: "ada", reason: "stop" })
        const error = yield* Fiber.join(fiber)
        assert.strictEqual("_tag" in error && error._tag, "AgentHaltedError")
        assert.isTrue(aborted)
        assert.deepStrictEqual(yield* kinds(), ["tool.call", "tool.result"])
      })
    )
  )

  it.effect("a halt of the agent above stops its delegates (BEY-09)", () =>
    world(
      Effect.gen(function* () {
        const scope = yield* AgentScope
        const presence = yield* Presence
        yield* scope.register({ agentId: "boss", allowedTools: ["*"] })
        yield* scope.register({ agentId: "intern", allowedTools: ["*"] })
        yield* Effect.void.pipe(governed({ agentId: "boss", tool: "x" }))
        yield* presence.delegate("boss", "intern")
        yield* Effect.void.pipe(governed({ agentId: "intern", tool: "x" }))
        yield* presence.halt("boss", { by: "ada", reason: "all of you" })
        const error = yield* Effect.flip(Effect.void.pipe(governed({ agentId: "intern", tool: "x" })))
        assert.strictEqual(error._tag === "AgentHaltedError" ? `${error.haltedAgent}` : error._tag, "boss")
      })
    )
  )

  it.effect("a delegate may do no more than the agent above it, and draws from its budget (BEY-09)", () =>
    world(
      Effect.gen(function* () {
        const scope = yield* AgentScope
        const cost = yield* Cost
        const presence = yield* Presence
        yield* scope.register({ agentId: "boss", allowedTools: ["pay"] })
        yield* cost.register({ agentId: "boss", perAgentUsdDaily: "0.05" })
        yield* Effect.void.pipe(governed({ agentId: "boss", tool: "pay", maxUsd: "0.01" }))
        yield* presence.delegate("boss", "intern")
        yield* scope.register({ agentId: "intern", allowedTools: ["pay", "delete"] })
        const outside = yield* Effect.flip(Effect.void.pipe(governed({ agentId: "intern", tool: "delete" })))
        assert.strictEqual(outside._tag === "ScopeViolation" ? `${outside.policyOf}` : outside._tag, "boss")
        const exits = yield* Effect.forEach(Array.from({ length: 10 }), () =>
          Effect.exit(Effect.void.pipe(governed({ agentId: "intern", tool: "pay", maxUsd: "0.01" })))
        )
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 4)
      })
    )
  )

  it.effect("refuses a model without a price before any money is held (OQ-12, DEC-08)", () =>
    world(
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          Effect.void.pipe(governed({ agentId, sessionId, model: "no-such-model", maxTokens: 5 }))
        )
        assert.strictEqual(error._tag, "UnknownModelError")
        assert.deepStrictEqual(yield* kinds(), ["model.unknown"])
      })
    )
  )

  it.effect("prices what the provider reports (CST-07)", () =>
    world(
      Effect.gen(function* () {
        const cost = yield* Cost
        const governor = yield* Governor
        yield* governor.run({ agentId, sessionId, model: "gpt-4o", inputTokens: 1000, maxTokens: 500 }, (ticket) =>
          ticket.report({ usage: { model: "gpt-4o", inputTokens: 1000, outputTokens: 500 } })
        )
        const { state } = yield* cost.snapshot(agentId, sessionId)
        assert.strictEqual(state.sessionUsd, 7_500_000n)
        const models = yield* cost.modelBreakdown(agentId)
        assert.strictEqual(models.get("gpt-4o")?.tokens, 1500n)
      })
    )
  )

  it.effect("a tool that needs approval does not run while nobody can give it (GAT-04)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("*")
        const policies = yield* Policies
        yield* policies.register(agentId, "gate", { requireApproval: ["cancel_*"] })
        const error = yield* Effect.flip(
          Effect.void.pipe(governed(tool("cancel_reservation", { approval: { wait: false } })))
        )
        assert.strictEqual(error._tag, "ApprovalPending")
      })
    )
  )

  it.effect("refuses input that is no plain JSON with a clear error (A-14)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("*")
        const error = yield* Effect.flip(Effect.void.pipe(governed(tool("x", { input: { when: new Map() } }))))
        assert.strictEqual(error._tag, "InvalidInput")
        assert.include(error.message, "input")
      })
    )
  )

  it.effect("settles once when a call is interrupted by its own caller", () =>
    world(
      Effect.gen(function* () {
        yield* allow("wait")
        const cost = yield* Cost
        const started = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
            governed(tool("wait", { maxUsd: "0.01" }))
          )
        )
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        const { state } = yield* cost.snapshot(agentId, sessionId)
        assert.deepStrictEqual([state.sessionUsd, state.heldUsd], [cent, 0n])
        assert.deepStrictEqual(yield* kinds(), ["tool.call", "tool.result"])
      })
    )
  )
})

describe("governedStream", () => {
  const words = Stream.make(1n, 2n, 3n)
  const call = tool("stream", { maxUsd: "0.10" })
  const spending = (cents: bigint) => ({ usd: usd(cents * cent) })

  it.effect("settles what was reported last when the stream is dropped early (BEY-07)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("stream")
        const cost = yield* Cost
        yield* words.pipe(governedStream(call, spending), Stream.take(2), Stream.runDrain)
        const { state } = yield* cost.snapshot(agentId, sessionId)
        assert.deepStrictEqual([state.sessionUsd, state.heldUsd], [2n * cent, 0n])
      })
    )
  )

  it.effect("is cut when its agent is halted (BEY-05, H-07)", () =>
    world(
      Effect.gen(function* () {
        yield* allow("stream")
        const presence = yield* Presence
        const seen: Array<bigint> = []
        const endless = Stream.concat(words, Stream.fromEffect(Effect.never))
        const fiber = yield* endless.pipe(
          governedStream(call, spending),
          Stream.tap((n) => Effect.sync(() => seen.push(n))),
          Stream.runDrain,
          Effect.flip,
          Effect.forkChild
        )
        while (seen.length < 3) yield* Effect.yieldNow
        yield* presence.halt(agentId, { by: "ada", reason: "stop" })
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag, "AgentHaltedError")
      })
    )
  )
})

it.effect("a call whose process died is charged and recorded as orphaned once its lease ends (BEY-06, U-02)", () =>
  world(
    Effect.gen(function* () {
      yield* allow("pay")
      const cost = yield* Cost
      // A ticket whose scope never closes is what a killed process leaves behind.
      const admission = yield* AdmissionStore
      const agent = AgentId.make(agentId)
      const verdict = yield* admission.admit({
        ticket: newTicket(),
        root: agent,
        agentId: agent,
        sessionId: SessionId.make(sessionId),
        tool: "pay",
        signature: "x",
        hold: { _tag: "Exact", usd: usd(3n * cent), tokens: 0n },
        leaseMs: 60_000,
        facts: { kind: "tool", name: "pay", model: null, inputHash: null }
      })
      assert.strictEqual(verdict._tag, "Admitted")
      yield* TestClock.adjust("2 minutes")
      const sweep = yield* Sweep
      yield* sweep.run
      const { state } = yield* cost.snapshot(agentId, sessionId)
      assert.deepStrictEqual([state.sessionUsd, state.heldUsd], [3n * cent, 0n])
      assert.deepStrictEqual(yield* kinds(), ["tool.call", "call.orphaned"])
    })
  )
)
