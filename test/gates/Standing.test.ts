import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { Presence } from "../../src/services/Presence.ts"
import { agentId, card, cards, clerk, grant, pay, world } from "./Gates.ts"

const call = { agentId, sessionId: "s1", tool: "pay", input: { to: "A", usd: "5" }, callKey: "k1" }
const standing = (more: object = {}) => Effect.flatMap(Gates, (gates) => gates.standing({ ...call, ...more }))
const state = Effect.map(standing(), ({ request }) => request?.state ?? "none")
const ask = Effect.flatMap(Gates, (gates) =>
  gates.request(call.tool, agentId, call.input, { sessionId: "s1", callKey: "k1" })
)

describe("Where a tool's call stands before it is made (BEY-02)", () => {
  it.effect("says that no person is needed, by the policy or the program's word", () =>
    Effect.gen(function* () {
      yield* clerk()
      assert.deepStrictEqual(yield* standing({ tool: "look" }), { isNeeded: false, request: null })
      const required = { tool: "look", approval: { required: true } }
      assert.deepStrictEqual(yield* standing(required), { isNeeded: true, request: null })
    }).pipe(Effect.provide(world()))
  )

  it.effect("follows the request of exactly this call through its life, and opens none", () =>
    Effect.gen(function* () {
      yield* clerk()
      assert.strictEqual(yield* state, "none")
      assert.lengthOf(yield* cards, 0)
      const { requestId } = yield* ask
      assert.deepStrictEqual(yield* standing(), { isNeeded: true, request: { requestId, state: "pending" } })
      yield* grant()
      assert.strictEqual(yield* state, "granted")
      // Neither other arguments nor another key have anything to do with it.
      assert.isNull((yield* standing({ input: { to: "A", usd: "6" } })).request)
      assert.isNull((yield* standing({ callKey: "k2" })).request)
      yield* Effect.void.pipe(governed(pay(call.input, { callKey: "k1" })))
      assert.strictEqual(yield* state, "consumed")
    }).pipe(Effect.provide(world()))
  )

  it.effect("knows a denial, and a request whose time is over although nobody has ended it", () =>
    Effect.gen(function* () {
      yield* clerk({ expiresAfter: 60 })
      yield* ask
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* state, "expired")
      yield* ask
      const { token } = yield* card
      yield* (yield* Gates).deny(token, { by: "rita@example.org" })
      assert.strictEqual(yield* state, "denied")
    }).pipe(Effect.provide(world()))
  )

  it.effect("fails for a halted agent, and where the module is off", () =>
    Effect.gen(function* () {
      yield* clerk()
      yield* (yield* Presence).halt(agentId, { by: "ada", reason: "stop" })
      assert.strictEqual((yield* Effect.flip(standing()))._tag, "AgentHaltedError")
      const off = yield* Effect.flip(standing()).pipe(Effect.provide(world({ enableGates: false }), { local: true }))
      assert.strictEqual(off._tag, "ModuleDisabledError")
    }).pipe(Effect.provide(world()))
  )
})
