import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { StoreError } from "../../src/schema/StoreError.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { capture, doneWithin, kinds, lined, newLine } from "../services/World.ts"
import { agentId, clerk, owner, settle, started, world } from "./Gates.ts"

const ask = (payload: unknown = { usd: "5" }) =>
  Effect.flatMap(Gates, (gates) => gates.request("pay", agentId, payload, { sessionId: "s1" }))
const problem = <A, E extends { readonly _tag: string }, R>(self: Effect.Effect<A, E, R>) =>
  Effect.match(self, {
    onSuccess: () => "accepted",
    onFailure: (error) => ("problem" in error ? String(error.problem) : error._tag)
  })

describe("Whoever decides", () => {
  it.effect("may not be the agent's operator, in whatever spelling, nor of one above it (ATH-07, GAT-11, T-08)", () =>
    Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      const { token } = yield* ask()
      for (const by of [owner, owner.toUpperCase(), "olga+x@example.org", "\u043elga@example.org", `${owner} `]) {
        assert.strictEqual(yield* problem(gates.grant(token, { by })), "own_agent", by)
      }
      // Another operator afterwards does not make the first one a stranger (C-25).
      yield* (yield* Presence).heartbeat(agentId, { operatorId: "nina" })
      assert.strictEqual(yield* problem(gates.grant(token, { by: owner })), "own_agent")
      assert.strictEqual(yield* problem(gates.grant(token, { by: "nina" })), "own_agent")
      yield* (yield* Presence).delegate(agentId, "helper")
      const below = yield* gates.request("pay", "helper")
      assert.strictEqual(yield* problem(gates.grant(below.token, { by: "nina" })), "own_agent")
      assert.strictEqual(yield* problem(gates.deny(token, { by: owner })), "accepted")
    }).pipe(Effect.provide(world()))
  )

  it.effect("is refused while nobody knows who operates the agent, with what to do (ATH-07)", () =>
    Effect.gen(function* () {
      const gates = yield* Gates
      const { token } = yield* ask()
      const error = yield* Effect.flip(gates.grant(token, { by: "rita" }))
      assert.include(error, { problem: "owner_unknown" })
      assert.include(error.recoveryHint, "heartbeat")
      yield* (yield* Presence).heartbeat(agentId, { operatorId: owner })
      assert.strictEqual(yield* problem(gates.grant(token, { by: "rita" })), "accepted")
    }).pipe(Effect.provide(world()))
  )

  it.effect("must stand in the policy's list, by exact id (V8-06)", () =>
    Effect.gen(function* () {
      yield* clerk({ reviewers: ["rita"] })
      const gates = yield* Gates
      const { token } = yield* ask()
      for (const by of ["sam", "Rita", "r\u0456ta"]) {
        assert.strictEqual(yield* problem(gates.grant(token, { by })), "not_a_reviewer")
        assert.strictEqual(yield* problem(gates.deny(token, { by })), "not_a_reviewer")
      }
      assert.strictEqual(yield* problem(gates.grant(token, { by: "rita" })), "accepted")
    }).pipe(Effect.provide(world()))
  )

  it.effect("counts once of a quorum, and not at all once taken off the list (T-17, BEY-10)", () =>
    Effect.gen(function* () {
      yield* clerk({ quorum: 2, reviewers: ["rita", "sam", "tom"] })
      const gates = yield* Gates
      const { requestId, token } = yield* ask()
      assert.include(yield* gates.grant(token, { by: "rita" }), { state: "pending", missing: 1 })
      assert.strictEqual(yield* problem(gates.grant(token, { by: "rita" })), "voted")
      yield* (yield* Policies).register(agentId, "gate", {
        requireApproval: ["pay"],
        quorum: 2,
        reviewers: ["sam", "tom"]
      })
      assert.include(yield* gates.grant(token, { by: "sam" }), { state: "pending", missing: 1 })
      assert.include(yield* gates.grant(token, { by: "tom" }), { state: "granted" })
      const [row] = yield* gates.list({ which: "granted" })
      assert.deepStrictEqual([row?.gate.requestId, row?.gate.approvers.map(String)], [requestId, ["sam", "tom"]])
      assert.deepStrictEqual(
        (yield* kinds("s1")).filter((kind) => kind.startsWith("approval")),
        ["approval.requested", "approval.voted", "approval.token_rejected", "approval.voted", "approval.granted"]
      )
    }).pipe(Effect.provide(world()))
  )

  it.effect("adds up only with those who approved the same arguments (BEY-10, T-17)", () =>
    Effect.gen(function* () {
      yield* clerk({ quorum: 2 })
      const gates = yield* Gates
      const { token } = yield* ask()
      yield* gates.grant(token, { by: "rita", arguments: { usd: "1" } })
      assert.include(yield* gates.grant(token, { by: "sam" }), { state: "pending" })
      assert.include(yield* gates.grant(token, { by: "tom", arguments: { usd: "1" } }), { state: "granted" })
    }).pipe(Effect.provide(world()))
  )

  it.effect("may pin the decision to a claim; a claim that moved meanwhile wins, without a row (GAT-10)", () =>
    Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      const { requestId, token } = yield* ask()
      assert.isTrue(yield* gates.claim(requestId, { by: "rita", from: null, to: "rita" }))
      assert.isFalse(yield* gates.claim(requestId, { by: "sam", from: null, to: "sam" }))
      assert.strictEqual(yield* problem(gates.grant(token, { by: "sam", claimedBy: "sam" })), "moved")
      assert.isTrue(yield* gates.claim(requestId, { by: "rita", from: "rita", to: null }))
      assert.strictEqual(yield* problem(gates.grant(token, { by: "sam", claimedBy: null })), "accepted")
      const found = (yield* kinds("s1")).filter((kind) => !kind.includes("rejected"))
      assert.deepStrictEqual(found, [
        "approval.requested",
        "approval.claimed",
        "approval.escalated",
        "approval.granted"
      ])
    }).pipe(Effect.provide(world()))
  )
})

describe("A decision (V8-04, T-02, T-03, T-04)", () => {
  it.effect("is made once of 20 grants and denials that race for each of 20 tokens, with one row each", () =>
    Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      const tokens = yield* Effect.forEach(Array.from({ length: 20 }), (_, i) => ask({ i }))
      const race = ({ token }: { readonly token: string }) =>
        Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) => problem(i % 2 ? gates.grant(token, { by: `r${i}x` }) : gates.deny(token, { by: `d${i}x` })),
          { concurrency: "unbounded" }
        )
      const results = (yield* Effect.forEach(tokens, race, { concurrency: 5 })).flat()
      assert.strictEqual(results.filter((one) => one === "accepted").length, 20)
      assert.strictEqual(results.filter((one) => one === "resolved").length, 380)
      const decided = (yield* kinds("s1")).filter((kind) => kind === "approval.granted" || kind === "approval.denied")
      assert.strictEqual(decided.length, 20)
    }).pipe(Effect.provide(world()))
  )

  for (const [ms, expected] of [
    [59_999, "accepted"],
    [60_000, "expired"],
    [60_001, "expired"]
  ] as const) {
    it.effect(`${ms} ms after a request for 60 s is ${expected} (T-04)`, () =>
      Effect.gen(function* () {
        yield* clerk({ expiresAfter: 60 })
        const { token } = yield* ask()
        yield* TestClock.adjust(ms)
        assert.strictEqual(yield* problem((yield* Gates).grant(token, { by: "rita" })), expected)
      }).pipe(Effect.provide(world()))
    )
  }

  it.effect("is not made when its row cannot be written: both or neither (V8-04, GAT-09, I1)", () => {
    const line = { ...newLine(), only: ["audit"] as const }
    return Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      const { token } = yield* ask()
      line.state = "down"
      assert.strictEqual((yield* Effect.flip(gates.grant(token, { by: "rita" })))._tag, "StoreError")
      assert.isAbove(line.asked.get("gates.decide") ?? 0, 0)
      line.state = "up"
      assert.strictEqual((yield* gates.list())[0]?.gate.state, "pending")
      assert.strictEqual(yield* problem(gates.grant(token, { by: "rita" })), "accepted")
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect("leaves the token and the reviewer's text out of everything but the log (T-11, T-14)", () => {
    const log = capture()
    return Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      const { requestId, token } = yield* ask()
      yield* Effect.ignore(gates.grant(token, { by: owner, reason: "canary-reason" }))
      yield* gates.grant(token, { by: "rita", reason: "canary-reason" })
      assert.isUndefined(yield* gates.waitFor(requestId))
      const events = JSON.stringify(yield* (yield* Audit).getEvents({}), (_, value) =>
        typeof value === "bigint" ? String(value) : value
      )
      assert.include(events, "canary-reason")
      for (const text of [
        events,
        JSON.stringify(log.lines),
        JSON.stringify((yield* gates.list({ which: "all" }))[0]?.gate)
      ]) {
        assert.notInclude(text, token.slice(-64))
      }
      assert.notInclude(JSON.stringify(log.lines), "canary-reason")
      assert.isDefined(yield* AuditStore)
    }).pipe(Effect.provide(log.layer), Effect.provide(world()))
  })
})

describe("Gates while the store is silent (section 39)", () => {
  it.effect("gives a request that nobody can grant, with a warning, instead of failing (GAT-01, RES-01)", () => {
    const log = capture()
    const line = newLine()
    return Effect.gen(function* () {
      yield* clerk()
      line.state = "down"
      const { grantable, token } = yield* ask()
      assert.deepStrictEqual([grantable, token], [false, ""])
      assert.strictEqual(log.named("gates.request_failed").length, 1)
    }).pipe(Effect.provide(lined(line)), Effect.provide(log.layer))
  })

  it.effect("keeps waiting through an outage, and times out at its deadline (GAT-03, T-15)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      const { requestId, token } = yield* ask()
      const waiting = yield* started(gates.waitFor(requestId, "1 minute"))
      line.state = "hanging"
      yield* TestClock.adjust("20 seconds")
      yield* settle
      line.state = "up"
      yield* gates.grant(token, { by: "rita" })
      yield* TestClock.adjust("3 seconds")
      yield* settle
      assert.strictEqual(waiting.pollUnsafe()?._tag, "Success")
      const second = yield* ask({ usd: "6" })
      const late = Effect.flip(gates.waitFor(second.requestId, "5 seconds"))
      const fiber = yield* started(late)
      line.state = "down"
      yield* TestClock.adjust("6 seconds")
      yield* settle
      const exit = fiber.pollUnsafe()
      assert.strictEqual(exit?._tag === "Success" ? exit.value._tag : "none", "ApprovalTimeout")
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect("refuses a grant rather than guess (RES-02)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* clerk()
      const { token } = yield* ask()
      line.state = "hanging"
      const error = yield* doneWithin("6 seconds")(Effect.flip((yield* Gates).grant(token, { by: "rita" })))
      assert.instanceOf(error, StoreError)
    }).pipe(Effect.provide(lined(line)))
  })
})

describe("Bad input", () => {
  for (const [what, act] of [
    ["an empty kind", (gates: Gates["Service"]) => gates.request("", agentId)],
    ["an empty agent", (gates: Gates["Service"]) => gates.request("pay", "")],
    ["a session without a name", (gates: Gates["Service"]) => gates.request("pay", agentId, 1, { sessionId: "" })],
    ["a payload of 10 MB", (gates: Gates["Service"]) => gates.request("pay", agentId, "x".repeat(10_000_000))],
    ["a payload that is no JSON", (gates: Gates["Service"]) => gates.request("pay", agentId, { f: () => 1 })],
    [
      "a request that was never made",
      (gates: Gates["Service"]) => gates.waitFor("00000000-0000-4000-8000-000000000000")
    ],
    ["no UUID", (gates: Gates["Service"]) => gates.waitFor("'; drop table governance_gates")],
    ["an empty name", (gates: Gates["Service"]) => gates.grant("x", { by: "" })]
  ] as const) {
    it.effect(`${what} is an InvalidInput`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip<unknown, { readonly _tag: string }, never>(act(yield* Gates))
        assert.strictEqual(error._tag, "InvalidInput")
      }).pipe(Effect.provide(world()))
    )
  }

  it.effect("cleans up what was resolved, and ends what is overdue with its row (GAT-13)", () =>
    Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      yield* ask()
      yield* TestClock.adjust("11 minutes")
      assert.strictEqual(yield* gates.cleanupResolved("1 hour"), 0)
      assert.include(yield* kinds("s1"), "approval.expired")
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* gates.cleanupResolved("1 hour"), 1)
    }).pipe(Effect.provide(world()))
  )
})
