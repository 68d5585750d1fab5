import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { pollDelayMs } from "../../src/bridge/Polling.ts"
import { GateForward } from "../../src/schema/BridgeWire.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { agentId, cards, clerk, grant, owner, pay } from "../gates/Gates.ts"
import { capture } from "../services/World.ts"
import { type Reply, type Scripted, scripted } from "./Platform.ts"
import { bridged, settle, stats } from "./World.ts"

const payment = (usd = "5") => Effect.succeed(`paid ${usd}`).pipe(governed(pay({ to: "A", usd })))

/** A call that waits for a person, and its card at the platform. */
const waiting = Effect.fnUntraced(function* (platform: Scripted, usd = "5") {
  const fiber = yield* Effect.forkChild(payment(usd))
  yield* settle
  const card = [...platform.gates.values()].at(-1)
  return { fiber, card, id: card?.request_id ?? "" }
})
const decided = (card: { readonly action_hash: string }, more: object = {}) => ({
  status: "granted",
  resolved_at: "1970-01-01T00:00:01.000Z",
  action_hash: card.action_hash,
  decided_by: "rita@example.org",
  ...more
})
const decisions = Effect.map(
  Effect.flatMap(Audit, (audit) =>
    audit.getEvents({ kinds: ["approval.granted", "approval.denied", "approval.voted"] })
  ),
  (events) => events.map(({ kind, metadata }) => [kind, (metadata as { readonly by: string }).by])
)

describe("approvals over the bridge", () => {
  it.effect(
    "a request is committed here first and then forwarded: six fields, no payload, no token, no reason (FWD-01, FWD-02, FWD-03)",
    () => {
      const platform = scripted()
      return Effect.gen(function* () {
        yield* clerk()
        const { fiber } = yield* waiting(platform)
        const sent = platform.asked.filter(({ path }) => path === "/api/v1/bridge/gates")
        assert.lengthOf(sent, 1)
        assert.deepStrictEqual(Object.keys(sent[0]!.json), Object.keys(GateForward.fields))
        const [card] = yield* cards
        assert.strictEqual(sent[0]!.json.request_id, card?.gate.requestId)
        assert.strictEqual(sent[0]!.json.action_hash, card?.gate.actionHash)
        assert.notInclude(platform.asked.map(({ body }) => body).join(), card!.token!)
        assert.deepInclude(yield* stats, { gateForwardsSent: 1, gateForwardsDropped: 0, gateForwardsQueued: 0 })
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.provide(bridged(platform)))
    }
  )

  for (const status of ["granted", "denied"] as const) {
    it.effect(
      `what the platform has ${status} becomes a decision here, with its row, and ends the wait (FWD-06, FWD-12)`,
      () => {
        const platform = scripted()
        return Effect.gen(function* () {
          yield* clerk()
          const { card, fiber, id } = yield* waiting(platform)
          yield* TestClock.adjust("5 seconds")
          platform.resolve(id, decided(card, { status, reason: "canary-of-a-reviewer" }))
          yield* TestClock.adjust("5 seconds")
          const exit = yield* Fiber.await(fiber)
          assert.strictEqual(Exit.isSuccess(exit), status === "granted")
          assert.deepStrictEqual(yield* decisions, [[`approval.${status}`, "platform:rita@example.org"]])
          const all = JSON.stringify([exit, yield* (yield* Audit).getEvents({})])
          assert.notInclude(all, "canary-of-a-reviewer")
          yield* TestClock.adjust("2 minutes")
          assert.isEmpty(platform.told)
          assert.deepInclude(yield* stats, {
            remoteDecisionsApplied: 1,
            remoteDecisionsDropped: 0,
            localResolutionsSent: 0
          })
        }).pipe(Effect.provide(bridged(platform)))
      }
    )
  }

  const forged: ReadonlyArray<readonly [what: string, more: object]> = [
    ["another action", { action_hash: "cd".repeat(32) }],
    ["no action", { action_hash: undefined }],
    ["the agent's own operator", { decided_by: owner }],
    ["the agent's own operator in other letters", { decided_by: "OLGA+x@example.org" }],
    ["a name that is too long", { decided_by: "a".repeat(300) }],
    ["a decision nobody knows", { status: "approved" }],
    ["__proto__", JSON.parse('{"__proto__":{"status":"granted"},"status":"pending"}')]
  ]
  it.effect("20 forged resolutions, and none is accepted (T-16, FWD-12, B-24)", () =>
    Effect.gen(function* () {
      for (const [what, more] of [...forged, ...forged, ...forged.slice(0, 6)]) {
        const platform = scripted()
        yield* Effect.gen(function* () {
          yield* clerk()
          const { card, fiber, id } = yield* waiting(platform)
          platform.resolve(id, JSON.parse(JSON.stringify(decided(card, more))))
          yield* TestClock.adjust("30 seconds")
          assert.isUndefined(fiber.pollUnsafe(), what)
          assert.deepStrictEqual(yield* decisions, [], what)
          assert.lengthOf(yield* cards, 1)
          yield* grant()
          yield* TestClock.adjust("1 second")
          assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
        }).pipe(Effect.provide(bridged(platform)))
      }
    })
  )

  it.effect(
    'with approvals: "local" nothing is forwarded, and nothing that the platform says counts (DEC-19, T-16)',
    () => {
      const platform = scripted()
      return Effect.gen(function* () {
        yield* clerk({ approvals: "local" })
        const before = yield* waiting(platform)
        yield* TestClock.adjust("10 seconds")
        assert.isEmpty(platform.gates)
        assert.strictEqual((yield* stats).polls, 0)
        yield* Fiber.interrupt(before.fiber)
        // The policy may also change while the card lies in the inbox, and after a grant that nobody has used.
        yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"] })
        const { card, fiber, id } = yield* waiting(platform, "7")
        yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"], approvals: "local" })
        platform.resolve(id, decided(card))
        yield* TestClock.adjust("10 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        assert.strictEqual((yield* stats).remoteDecisionsDropped, 1)
      }).pipe(Effect.provide(bridged(platform)))
    }
  )

  it.effect(
    'a grant from the platform that was not used yet is withdrawn when the policy becomes "local" (DEC-19, T-17)',
    () => {
      const platform = scripted()
      return Effect.gen(function* () {
        yield* clerk()
        const request = yield* (yield* Gates).request("pay", agentId, { usd: "9" })
        yield* settle
        const waiter = yield* Effect.forkChild((yield* Gates).waitFor(request.requestId))
        yield* settle
        platform.resolve(request.requestId, decided([...platform.gates.values()][0]))
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiter)))
        yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"], approvals: "local" })
        const late = yield* Effect.flip((yield* Gates).waitFor(request.requestId))
        assert.deepInclude({ ...late }, { _tag: "ApprovalDenied", problem: "withdrawn" })
      }).pipe(Effect.provide(bridged(platform)))
    }
  )

  it.effect(
    "reviewers and quorum hold for the platform too: all that it names together is one person (T-16, T-17)",
    () => {
      const platform = scripted()
      return Effect.gen(function* () {
        yield* clerk({ quorum: 2, reviewers: ["rita@example.org", "ruth@example.org", "rose@example.org"] })
        const { card, fiber, id } = yield* waiting(platform)
        platform.resolve(id, decided(card))
        yield* TestClock.adjust("5 seconds")
        platform.resolve(id, decided(card, { decided_by: "ruth@example.org" }))
        yield* TestClock.adjust("20 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        assert.deepStrictEqual(yield* decisions, [["approval.voted", "platform:rita@example.org"]])
        // The same person here is no second one.
        const again = yield* Effect.flip(grant("rita@example.org"))
        assert.deepInclude({ ...again }, { problem: "voted" })
        const posing = yield* Effect.flip(grant("platform:rose@example.org"))
        assert.strictEqual(posing._tag, "InvalidInput")
        yield* grant("rose@example.org")
        yield* TestClock.adjust("1 second")
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      }).pipe(Effect.provide(bridged(platform)))
    }
  )

  it.effect("two names from the platform never make a quorum of two, not even from two processes (T-16)", () => {
    const platform = scripted()
    return Effect.gen(function* () {
      yield* clerk({ quorum: 2 })
      const first = yield* waiting(platform)
      platform.resolve(first.id, decided(first.card))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(first.fiber)
      const second = yield* waiting(platform)
      assert.strictEqual(second.id, first.id)
      platform.resolve(first.id, decided(first.card, { decided_by: "ruth@example.org" }))
      yield* TestClock.adjust("20 seconds")
      assert.isUndefined(second.fiber.pollUnsafe())
      assert.notInclude((yield* decisions).flat(), "approval.granted")
    }).pipe(Effect.provide(bridged(platform)))
  })

  for (const here of ["granted", "denied"] as const) {
    it.effect(
      `${here} here wins, whatever the platform says at that moment; it is told once, and only of requests that it has (GAT-15, FWD-06, FWD-08)`,
      () => {
        const platform = scripted()
        return Effect.gen(function* () {
          yield* clerk()
          const { card, fiber, id } = yield* waiting(platform)
          if (here === "granted") yield* grant()
          else yield* (yield* Gates).deny((yield* cards)[0]?.token ?? "", { by: "rita@example.org" })
          platform.resolve(id, decided(card, { status: here === "granted" ? "denied" : "granted" }))
          yield* TestClock.adjust("1 second")
          assert.strictEqual(Exit.isSuccess(yield* Fiber.await(fiber)), here === "granted")
          yield* TestClock.adjust("5 minutes")
          assert.deepStrictEqual(
            platform.told.map(({ body, id }) => [id, Object.keys(body), body.status]),
            [[id, ["status", "resolved_at"], here]]
          )
          assert.deepInclude(yield* stats, {
            localResolutionsSent: 1,
            localResolutionsDropped: 0,
            remoteDecisionsApplied: 0
          })
        }).pipe(Effect.provide(bridged(platform)))
      }
    )
  }

  it.effect("a forward that failed is not repeated, not polled, and not told about (FWD-08, OQ-30)", () => {
    const platform = scripted(({ path }) => (path === "/api/v1/bridge/gates" ? { status: 500 } : undefined))
    return Effect.gen(function* () {
      yield* clerk()
      const { fiber } = yield* waiting(platform)
      yield* TestClock.adjust("30 seconds")
      yield* grant()
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      assert.deepInclude(yield* stats, {
        gateForwardsDropped: 1,
        gateForwardsSent: 0,
        polls: 0,
        localResolutionsSent: 0
      })
      assert.lengthOf(
        platform.paths().filter((path) => path.includes("/bridge/gates")),
        1
      )
    }).pipe(Effect.provide(bridged(platform)))
  })

  it.effect("a burst of 200 takes 100 places, and the others wait for one (FWD-09)", () => {
    const platform = scripted(({ path }) => (path === "/api/v1/bridge/gates" ? "hang" : undefined))
    return Effect.gen(function* () {
      const gates = yield* Gates
      for (let i = 0; i < 200; i++) yield* gates.request("pay", `agent-${i % 4}`, { i })
      yield* settle
      assert.lengthOf(
        platform.paths().filter((path) => path === "POST /api/v1/bridge/gates"),
        100
      )
      assert.strictEqual((yield* stats).gateForwardsQueued, 100)
      yield* TestClock.adjust("11 seconds")
      assert.lengthOf(
        platform.paths().filter((path) => path === "POST /api/v1/bridge/gates"),
        200
      )
    }).pipe(Effect.provide(bridged(platform)))
  })

  it("the pause between two questions is 2 s, doubles to 10 s with errors, and is a minute after every fifth (FWD-04, FWD-05)", () => {
    assert.deepStrictEqual(
      [0, 1, 2, 3, 4, 5, 6, 7, 10, 11].map((errors) => pollDelayMs(errors, 0)),
      [2000, 4000, 8000, 10_000, 10_000, 60_000, 4000, 8000, 60_000, 4000]
    )
    assert.strictEqual(pollDelayMs(0, 0.999), 2499)
  })

  it.effect(
    "questions come as often as that, whatever the errors are, and a good answer begins anew (FWD-04, FWD-05)",
    () => {
      let polled = 0
      const bad: ReadonlyArray<Reply> = [
        { status: 500 },
        "cut",
        { status: 200, body: "<html>" },
        { status: 404 },
        { status: 429 }
      ]
      const platform = scripted(({ method, path }) =>
        method === "GET" && path.endsWith("/resolution")
          ? polled++ < 7
            ? bad[(polled - 1) % 5]
            : undefined
          : undefined
      )
      const times: Array<number> = []
      return Effect.gen(function* () {
        yield* clerk({ expiresAfter: 100_000 })
        const { fiber } = yield* waiting(platform)
        for (let tick = 0; tick < 400; tick++) {
          const before = polled
          yield* TestClock.adjust("500 millis")
          if (polled > before) times.push(tick / 2)
        }
        const gaps = times.slice(1).map((at, i) => at - times[i]!)
        const expected = [4, 8, 10, 10, 60, 4, 8, 2, 2]
        for (const [i, seconds] of expected.entries()) {
          assert.isAtLeast(gaps[i]!, seconds - 0.5, `gap ${i} of ${gaps}`)
          assert.isAtMost(gaps[i]!, seconds + 1, `gap ${i} of ${gaps}`)
        }
        assert.strictEqual((yield* stats).pollErrors, 7)
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.provide(bridged(platform)))
    }
  )

  for (const [what, reply] of [
    ["hanging", "hang"],
    ["latched", { status: 402 }],
    ["failing", { status: 500 }]
  ] as const) {
    it.effect(
      `asking, granting, denying and waiting are the same with the platform ${what} (FWD-10, FWD-11, BRG-09, INV-7)`,
      () => {
        const platform = scripted(() => reply)
        const lines = capture()
        return Effect.gen(function* () {
          yield* clerk()
          const paid = yield* Effect.forkChild(payment())
          yield* settle
          yield* grant()
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(yield* Fiber.await(paid), Exit.succeed("paid 5"))
          const refused = yield* Effect.forkChild(Effect.flip(payment("6")))
          yield* settle
          const [card] = yield* cards
          yield* (yield* Gates).deny(card!.token!, { by: "rita@example.org" })
          yield* TestClock.adjust("1 second")
          assert.strictEqual((yield* Fiber.join(refused))._tag, "ApprovalDenied")
          yield* TestClock.adjust("2 minutes")
          assert.deepInclude(yield* stats, { localResolutionsSent: 0, remoteDecisionsApplied: 0 })
          assert.isEmpty(lines.lines.filter(({ level }) => level === "Error" || level === "Fatal"))
        }).pipe(Effect.provide(bridged(platform)), Effect.provide(lines.layer))
      }
    )
  }
})
