import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import { TestClock } from "effect/testing"
import { planOf } from "../../src/schema/CallPlan.ts"
import { eventOfGate } from "../../src/schema/GateRequest.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Contracts } from "../../src/services/Contracts.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Presence } from "../../src/services/Presence.ts"
import { capture, kinds } from "../services/World.ts"
import { agentId, card, clerk, ended, grant, pay, settle, started, world } from "./Gates.ts"

const tagOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>) =>
  Option.match(Exit.findErrorOption(exit), { onNone: () => "none", onSome: ({ _tag }) => _tag })
const stop = { by: "ada", reason: "stop" }

/** An agent that works for another. */
const employed = Effect.gen(function* () {
  const presence = yield* Presence
  yield* presence.heartbeat("boss")
  yield* presence.delegate("boss", agentId)
  yield* clerk()
  return presence
})

describe("Gates.waitFor and a halt (H-02, OQ-31)", () => {
  for (const halted of [agentId, "boss"]) {
    it.effect(`ends when ${halted} is halted while it waits, and does not begin while it is`, () =>
      Effect.gen(function* () {
        const presence = yield* employed
        const gates = yield* Gates
        const { requestId } = yield* gates.request("pay", agentId, { usd: "5" })
        const fiber = yield* started(gates.waitFor(requestId))
        assert.isUndefined(fiber.pollUnsafe())
        yield* presence.halt(halted, stop)
        assert.strictEqual(tagOf(yield* ended(fiber)), "AgentHaltedError")
        assert.strictEqual((yield* Effect.flip(gates.waitFor(requestId)))._tag, "AgentHaltedError")
        // Granted or not: what is halted does not go on (PRS-11).
        yield* grant()
        assert.strictEqual((yield* Effect.flip(gates.waitFor(requestId)))._tag, "AgentHaltedError")
        yield* presence.resume(halted, { by: "ada" })
        yield* gates.waitFor(requestId)
      }).pipe(Effect.provide(world()))
    )

    it.effect(`approvedFor fails with the halt of ${halted}, and so does the condition that asks it (DEC-09)`, () =>
      Effect.gen(function* () {
        const presence = yield* employed
        const gates = yield* Gates
        const contracts = yield* Contracts
        const check = { check: "hitl_approved", message: "must hold" }
        yield* contracts.register({ agentId, tool: "pay", pre: [check] })
        const call = pay({ usd: "5" })
        const { requestId } = yield* gates.request("pay", agentId, { usd: "5" }, { sessionId: "s1" })
        yield* grant()
        const plan = yield* Effect.fromResult(planOf(call, String))
        const approved = gates.approvedFor(plan, call)
        assert.isTrue(yield* approved)
        yield* presence.halt(halted, stop)
        assert.strictEqual((yield* Effect.flip(approved))._tag, "AgentHaltedError")
        const direct = contracts.checkPre({ agentId, sessionId: "s1", tool: "pay", input: { usd: "5" } })
        assert.strictEqual((yield* Effect.flip(direct))._tag, "AgentHaltedError")
        yield* presence.resume(halted, { by: "ada" })
        yield* direct
        assert.strictEqual((yield* gates.list({ which: "granted" }))[0]?.gate.requestId, requestId)
      }).pipe(Effect.provide(world()))
    )
  }
})

describe("A request that nobody waits for", () => {
  it.effect("is ended by the sweep when its time is over, once, with its row (GAT-13)", () =>
    Effect.gen(function* () {
      yield* clerk({ expiresAfter: 60 })
      const gates = yield* Gates
      yield* gates.request("pay", agentId, { usd: "5" }, { sessionId: "s1" })
      const { gate, token } = yield* card
      yield* TestClock.adjust("59 seconds")
      yield* settle
      assert.notInclude(yield* kinds("s1"), "approval.expired")
      yield* TestClock.adjust("17 seconds")
      yield* settle
      yield* TestClock.adjust("1 minute")
      yield* settle
      assert.deepStrictEqual(
        (yield* kinds("s1")).filter((kind) => kind.startsWith("approval")),
        ["approval.requested", "approval.expired"]
      )
      const [listed] = yield* gates.list({ which: "all" })
      assert.deepStrictEqual([listed?.gate.requestId, listed?.gate.state], [gate.requestId, "expired"])
      const late = yield* Effect.flip(gates.grant(token, { by: "rita" }))
      assert.strictEqual(late._tag === "ApprovalTokenError" ? late.problem : "", "expired")
    }).pipe(Effect.provide(world()))
  )

  it.effect(
    "is ended although the row of another cannot be written, which is told and stays as it was (GAT-13)",
    () => {
      const log = capture()
      return Effect.gen(function* () {
        yield* clerk({ expiresAfter: 60 })
        const gates = yield* Gates
        const broken = yield* gates.request("pay", agentId, { usd: "5" })
        yield* gates.request("pay", agentId, { usd: "6" })
        const taken = eventOfGate(broken.requestId, "expired")
        yield* (yield* Audit).log({ kind: "somebody else's", agentId, id: taken })
        yield* TestClock.adjust("75 seconds")
        yield* settle
        const rows = yield* (yield* Audit).getEvents({ kinds: ["approval.expired"] })
        assert.strictEqual(rows.length, 1)
        assert.isAtLeast(log.named("gates.request_broken").length, 1)
        const late = yield* Effect.flip(gates.grant(broken.token, { by: "rita" }))
        assert.strictEqual(late._tag === "ApprovalTokenError" ? late.problem : "", "expired")
      }).pipe(Effect.provide(world()), Effect.provide(log.layer))
    }
  )
})
