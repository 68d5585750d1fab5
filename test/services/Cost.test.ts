import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { AgentId } from "../../src/schema/Ids.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Governor } from "../../src/services/Governor.ts"
import { Presence } from "../../src/services/Presence.ts"
import { capture, cent, doneWithin, has, kinds, lined, memory, newLine, usd } from "./World.ts"

const agentId = "clerk"
const sessionId = "s1"
type Question = Parameters<Cost["Service"]["checkOrFail"]>[2]

const checkOrFail = (question?: Question) =>
  Effect.flatMap(Cost, (cost) => cost.checkOrFail(agentId, sessionId, question))
const exceeded = (question?: Question) =>
  Effect.flatMap(Effect.flip(checkOrFail(question)), (error) =>
    error._tag === "BudgetExceeded" ? Effect.succeed(error) : Effect.die(error)
  )
const state = Effect.flatMap(Cost, (cost) =>
  Effect.map(cost.snapshot(agentId, sessionId), (snapshot) => snapshot.state)
)

describe("Cost.checkOrFail", () => {
  it.effect("passes without any budget (OQ-20)", () =>
    Effect.andThen(checkOrFail({ usd: 1_000_000 }), checkOrFail()).pipe(Effect.provide(memory()))
  )

  it.effect("fails when a cap has no room for the question, and holds nothing (CST-03, DEC-07)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* cost.register({ agentId, perSessionUsd: "0.05" })
      yield* checkOrFail({ usd: "0.05" })
      yield* checkOrFail({ usd: "0.05" })
      const error = yield* exceeded({ usd: "0.06" })
      has(error, { cap: "perSessionUsd", requested: 6n * cent, limit: 5n * cent, used: 0n })
      assert.strictEqual((yield* state).heldUsd, 0n)
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "knows every kind of cap, names the one that was hit, and a reached cap refuses free calls too (CST-01, ERR-04)",
    () =>
      Effect.gen(function* () {
        const cost = yield* Cost
        const caps = [
          ["perSessionUsd", "0.01"],
          ["perSessionTokens", 100],
          ["perAgentUsdDaily", "0.01"],
          ["perAgentTokensDaily", 100]
        ] as const
        for (const [cap, limit] of caps) {
          const agent = `agent of ${cap}`
          yield* cost.register({ agentId: agent, [cap]: limit })
          yield* cost.checkOrFail(agent, sessionId)
          yield* cost.track(agent, sessionId, { usd: "0.01", tokens: 100 })
          const error = yield* Effect.flip(cost.checkOrFail(agent, sessionId))
          assert.strictEqual(error._tag === "BudgetExceeded" && error.cap, cap)
          assert.include(error.recoveryHint, cap)
        }
      }).pipe(Effect.provide(memory()))
  )

  it.effect("counts a day by UTC and a session across days (CST-18, OQ-32)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* cost.register({ agentId, perAgentUsdDaily: "0.01" })
      yield* cost.track(agentId, sessionId, { usd: "0.01", tokens: 0 })
      assert.strictEqual((yield* exceeded()).cap, "perAgentUsdDaily")
      yield* TestClock.adjust("1 day")
      yield* checkOrFail()
      has(yield* state, { sessionUsd: cent, dailyUsd: 0n })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("ends a session at its time limit (CST-02, CST-03)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* cost.register({ agentId, perSessionSeconds: 60 })
      yield* cost.track(agentId, sessionId, { usd: 0, tokens: 1 })
      yield* TestClock.adjust("59 seconds")
      yield* checkOrFail()
      yield* TestClock.adjust("1 second")
      const error = yield* exceeded()
      has(error, { cap: "perSessionSeconds", requested: 0n, used: 60n, limit: 60n })
      const tooLong = yield* Effect.flip(cost.register({ agentId, perSessionSeconds: 86_401 }))
      assert.strictEqual(tooLong._tag, "ConfigurationError")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("refuses a budget without a cap (CST-01)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.flatMap(Cost, (cost) => cost.register({ agentId })))
      assert.strictEqual(error._tag, "ConfigurationError")
      assert.include(error.message, "at least one cap")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("writes budget.exceeded with the cap, its limit and what was asked (CST-03)", () =>
    Effect.gen(function* () {
      yield* (yield* Cost).register({ agentId, perSessionTokens: 10 })
      yield* exceeded({ model: "gpt-4o", inputTokens: 6, maxTokens: 5 })
      const [row] = yield* (yield* Audit).traceSessionChain(sessionId)
      assert.strictEqual(row?.kind, "budget.exceeded")
      assert.deepStrictEqual(row?.metadata, {
        cap: "perSessionTokens",
        policyOf: agentId,
        limit: "10",
        used: "0",
        requested: "11"
      })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("stops a halted agent before any budget is looked at (CST-16)", () =>
    Effect.gen(function* () {
      yield* (yield* Cost).register({ agentId, perSessionUsd: "0.01" })
      yield* (yield* Presence).halt(agentId, { by: "ada", reason: "stop" })
      assert.strictEqual((yield* Effect.flip(checkOrFail({ usd: 5 })))._tag, "AgentHaltedError")
      assert.strictEqual((yield* Effect.flip(checkOrFail({ model: "none such" })))._tag, "AgentHaltedError")
      assert.deepStrictEqual(yield* kinds(sessionId), [])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("projects what a declared maximum may cost, and preflight is the same by another name (CST-05, C-18)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* cost.register({ agentId, perSessionUsd: "0.01" })
      // gpt-4o: 2.50 and 10.00 dollars per million; 1000 in and 500 out are 0.0075.
      yield* cost.preflight(agentId, sessionId, { model: "gpt-4o", inputTokens: 1000, maxTokens: 500 })
      const error = yield* Effect.flip(
        cost.preflight(agentId, sessionId, { model: "gpt-4o", inputTokens: 1000, maxTokens: 1000 })
      )
      assert.strictEqual(error._tag === "BudgetExceeded" && error.requested >= 12_500_000n, true)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("without a maximum it warns once per model and looks at the balance only (CST-05)", () => {
    const log = capture()
    return Effect.gen(function* () {
      yield* (yield* Cost).register({ agentId, perSessionUsd: "0.000001" })
      yield* checkOrFail({ model: "gpt-4o", inputTokens: 100_000 })
      yield* checkOrFail({ model: "gpt-4o", inputTokens: 100_000 })
      assert.strictEqual(log.named("cost.max_tokens_not_declared").length, 1)
    }).pipe(Effect.provide(memory()), Effect.provide(log.layer))
  })

  it.effect("takes defaultMaxTokens where none is declared (CST-05, ENT-01)", () =>
    Effect.gen(function* () {
      yield* (yield* Cost).register({ agentId, perSessionTokens: 50 })
      assert.strictEqual((yield* exceeded({ model: "gpt-4o", inputTokens: 1 })).requested, 101n)
    }).pipe(Effect.provide(memory({ defaultMaxTokens: 100 })))
  )

  it.effect("refuses a model without a price before it asks the store (CST-07, OQ-12)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(checkOrFail({ model: "no-such-model", maxTokens: 1 }))
      assert.strictEqual(error._tag === "UnknownModelError" && error.model, "no-such-model")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("denies when the store is down, and within the deadline when it hangs (CST-03, U-12)", () =>
    Effect.gen(function* () {
      const down = newLine()
      const hangs = newLine()
      yield* Effect.gen(function* () {
        yield* checkOrFail()
        down.state = "down"
        assert.strictEqual((yield* Effect.flip(checkOrFail()))._tag, "StoreError")
      }).pipe(Effect.provide(lined(down), { local: true }))
      yield* Effect.gen(function* () {
        yield* checkOrFail()
        hangs.state = "hanging"
        const error = yield* doneWithin("300 millis")(Effect.flip(checkOrFail()))
        assert.strictEqual(error._tag === "StoreError" && error.problem, "deadline")
      }).pipe(Effect.provide(lined(hangs, { enforcementDeadline: "300 millis" }), { local: true }))
    })
  )

  it.effect("answers a stranger within one deadline as well: what does not answer is not asked twice (U-12)", () =>
    Effect.gen(function* () {
      const error = yield* doneWithin("1 second")(Effect.flip(checkOrFail()))
      assert.strictEqual(error._tag, "StoreError")
    }).pipe(
      Effect.provide(lined({ ...newLine("hanging"), only: ["presence", "cost", "policies"] })),
      doneWithin("20 seconds")
    )
  )

  it.effect("lets it pass with costFailOpen, and says so each time (CST-03, U-12)", () => {
    const line = newLine()
    const log = capture()
    return Effect.gen(function* () {
      yield* (yield* Cost).register({ agentId, perSessionUsd: "0.01" })
      yield* checkOrFail()
      line.state = "down"
      yield* checkOrFail({ usd: 5 })
      yield* checkOrFail({ usd: 5 })
      assert.strictEqual(log.named("cost.fail_open").length, 2)
      line.state = "up"
      yield* exceeded({ usd: 5 })
    }).pipe(Effect.provide(lined(line, { costFailOpen: true })), Effect.provide(log.layer))
  })
})

describe("Cost.track", () => {
  it.effect("adds up, and refuses what would take away or is no amount (CST-06, U-06, U-07, SEC-06)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* cost.track(agentId, sessionId, { usd: "0.01", tokens: 5 })
      yield* cost.track(agentId, sessionId, { usd: 0.02, tokens: 7 })
      const wrong: ReadonlyArray<{ readonly usd: number | string; readonly tokens: number }> = [
        { usd: -0.01, tokens: 0 },
        { usd: "-1", tokens: 0 },
        { usd: -0, tokens: 0 },
        { usd: Number.NaN, tokens: 0 },
        { usd: Number.POSITIVE_INFINITY, tokens: 0 },
        { usd: 1e308, tokens: 0 },
        { usd: "1e3", tokens: 0 },
        { usd: " 5", tokens: 0 },
        { usd: "٣", tokens: 0 },
        { usd: 0, tokens: -1 },
        { usd: 0, tokens: 0.5 },
        { usd: 0, tokens: Number.NaN },
        { usd: 0, tokens: 2 ** 53 }
      ]
      for (const one of wrong) {
        const error = yield* Effect.flip(cost.track(agentId, sessionId, one))
        assert.strictEqual(error._tag, "InvalidInput", JSON.stringify(one))
      }
      has(yield* state, { sessionUsd: 3n * cent, sessionTokens: 12n, dailyUsd: 3n * cent })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("never fails for the store, nor waits for it beyond the deadline (CST-06, RES-01)", () =>
    Effect.gen(function* () {
      for (const how of ["down", "hanging"] as const) {
        const line = newLine()
        const log = capture()
        yield* Effect.gen(function* () {
          line.state = how
          const cost = yield* Cost
          yield* doneWithin("1 second")(cost.track(agentId, sessionId, { usd: 1, tokens: 1 }))
          yield* doneWithin("1 second")(
            cost.trackUsage(agentId, sessionId, { model: "gpt-4o", inputTokens: 1, outputTokens: 1 })
          )
          assert.strictEqual(log.named("cost.track_failed").length, 2)
        }).pipe(Effect.provide(lined(line), { local: true }), Effect.provide(log.layer))
      }
    })
  )

  it.effect("trackUsage prices first: an unknown model fails with its name and adds nothing (CST-07, C-08)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* cost.trackUsage(agentId, sessionId, { model: "gpt-4o", inputTokens: 1000, outputTokens: 500 })
      const error = yield* Effect.flip(
        cost.trackUsage(agentId, sessionId, { model: "gpt-4o-evil", inputTokens: 1, outputTokens: 1 })
      )
      assert.strictEqual(error._tag === "UnknownModelError" && error.model, "gpt-4o-evil")
      has(yield* state, { sessionUsd: 7_500_000n, sessionTokens: 1500n })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("trackUsage still fails for an unknown model while the store is down (39)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      const usage = { model: "gpt-4o-evil", inputTokens: 1, outputTokens: 1 }
      assert.strictEqual((yield* Effect.flip(cost.trackUsage(agentId, sessionId, usage)))._tag, "UnknownModelError")
    }).pipe(Effect.provide(lined(newLine("down"))))
  )

  it.effect("charges unknown models a fallback rate when both knobs say so (CST-08, CST-17)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* cost.trackUsage(agentId, sessionId, { model: "house-model", inputTokens: 600_000, outputTokens: 400_000 })
      assert.strictEqual((yield* state).sessionUsd, 3_000_000_000n)
    }).pipe(Effect.provide(memory({ costStrictUnknownModels: false, costUnknownModelFallbackUsdPerMillion: 3 })))
  )
})

describe("Cost.reconcile", () => {
  it.effect("replaces what was held, once (CST-11, U-03)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      const admission = yield* AdmissionStore
      const agent = AgentId.make(agentId)
      const governor = yield* Governor
      // A ticket that is still open when its usage becomes known by another way.
      const { id } = yield* Effect.scoped(
        Effect.tap(
          governor.admit({ agentId, sessionId, model: "gpt-4o", inputTokens: 1000, maxTokens: 500 }),
          (ticket) =>
            Effect.gen(function* () {
              const usage = { model: "gpt-4o", inputTokens: 1000, outputTokens: 100 }
              assert.strictEqual((yield* cost.reconcile(agent, ticket.id, usage))?.outcome, "settled")
              assert.strictEqual((yield* cost.reconcile(agent, ticket.id, usage))?.outcome, "already")
            })
        )
      )
      assert.strictEqual((yield* state).sessionUsd, 3_500_000n)
      const again = yield* admission.settle(agent, id, { _tag: "Held", resultHash: null })
      has(again, { outcome: "already", usd: usd(3_500_000n) })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("goes on without the store: observation (39)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      const cost = yield* Cost
      line.state = "down"
      const settled = yield* cost.reconcile(AgentId.make(agentId), "00000000-0000-4000-8000-000000000000" as never, {
        model: "gpt-4o",
        inputTokens: 1,
        outputTokens: 1
      })
      assert.isUndefined(settled)
    }).pipe(Effect.provide(lined(line)))
  })
})

describe("Cost.snapshot and modelBreakdown", () => {
  it.effect("show what is used and what every cap has left, null where there is none (CST-13)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      yield* cost.register({ agentId, perSessionUsd: "0.10", perAgentTokensDaily: 100 })
      yield* cost.track(agentId, sessionId, { usd: "0.03", tokens: 30 })
      const { state: _, ...left } = yield* cost.snapshot(agentId, sessionId)
      assert.deepStrictEqual(left, {
        sessionUsdRemaining: usd(7n * cent),
        sessionTokensRemaining: null,
        agentDailyUsdRemaining: null,
        agentDailyTokensRemaining: 70n
      })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("list what each model cost, empty when nothing is recorded (CST-12)", () =>
    Effect.gen(function* () {
      const cost = yield* Cost
      assert.strictEqual((yield* cost.modelBreakdown(agentId)).size, 0)
      yield* cost.trackUsage(agentId, sessionId, { model: "gpt-4o", inputTokens: 1000, outputTokens: 500 })
      yield* cost.trackUsage(agentId, "s2", { model: "gpt-4o", inputTokens: 1000, outputTokens: 500 })
      yield* cost.track(agentId, sessionId, { usd: 1, tokens: 1, model: "own" })
      const models = yield* cost.modelBreakdown(agentId)
      has(models.get("gpt-4o") ?? {}, { usd: usd(15_000_000n), tokens: 3000n })
      assert.strictEqual(models.get("own")?.usd, 1_000_000_000n)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("are zeros and empty, logged, while the store is down or hangs (CST-12, CST-13)", () =>
    Effect.gen(function* () {
      for (const how of ["down", "hanging"] as const) {
        const line = newLine()
        const log = capture()
        yield* Effect.gen(function* () {
          const cost = yield* Cost
          yield* cost.track(agentId, sessionId, { usd: 1, tokens: 1 })
          line.state = how
          const snapshot = yield* doneWithin("1 second")(cost.snapshot(agentId, sessionId))
          has(snapshot.state, { sessionUsd: 0n, dailyTokens: 0n, caps: [] })
          assert.strictEqual((yield* doneWithin("1 second")(cost.modelBreakdown(agentId))).size, 0)
          assert.deepStrictEqual(
            log.named("cost.snapshot_failed").map(({ level }) => level),
            ["Error"]
          )
        }).pipe(Effect.provide(lined(line), { local: true }), Effect.provide(log.layer))
      }
    })
  )
})
