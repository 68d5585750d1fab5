import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { allowsModel } from "../../src/schema/AgentScope.ts"
import type { BudgetState } from "../../src/schema/Cost.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { parsePolicyFile } from "../../src/schema/PolicyFileText.ts"
import { candidates, RoutingPolicy, type RoutingPolicyInput, remainingPct } from "../../src/schema/Routing.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Presence } from "../../src/services/Presence.ts"
import { Pricing } from "../../src/services/Pricing.ts"
import { Routing } from "../../src/services/Routing.ts"
import { capture, doneWithin, lined, memory, newLine } from "./World.ts"

const on = { enableRouting: true }
const register = (policy: RoutingPolicyInput, agentId = "clerk") =>
  Routing.use((routing) => routing.register({ agentId, ...policy }))
const suggest = (model: string, more: { readonly agentId?: string; readonly provider?: string } = {}) =>
  Routing.use((routing) => routing.suggest({ agentId: "clerk", sessionId: "s", model, ...more }))
const allow = (allowedModels: ReadonlyArray<string>, agentId = "clerk") =>
  AgentScope.use((scope) => scope.register({ agentId, allowedTools: ["*"], allowedModels }))
const spend = (usd: number, agentId = "clerk") => Cost.use((cost) => cost.track(agentId, "s", { tokens: 0, usd }))
const budget = (usd: number, agentId = "clerk") => Cost.use((cost) => cost.register({ agentId, perAgentUsdDaily: usd }))
const events = (kind: string) => Audit.use((audit) => audit.getEvents({ kinds: [kind] }))

const thrifty: RoutingPolicyInput = {
  mode: "cost_aware",
  cheaperModels: [
    { model: "gpt-4o-mini", budgetRemainingPct: 50 },
    { model: "gpt-4.1-nano", budgetRemainingPct: 20 }
  ]
}

describe("Routing", () => {
  it.effect("takes cheaper models as the budget runs short, and says so in the log (ROU-01, ROU-02)", () =>
    Effect.gen(function* () {
      yield* budget(10)
      yield* register(thrifty)
      assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o")
      yield* spend(5)
      assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o")
      yield* spend(0.01)
      assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o-mini")
      assert.strictEqual(yield* suggest("gpt-4o-mini"), "gpt-4o-mini")
      yield* spend(4)
      assert.strictEqual(yield* suggest("gpt-4o", { provider: "openai" }), "gpt-4.1-nano")
      assert.deepStrictEqual(
        (yield* events("routing.suggestion")).map(({ agentId, metadata, model, sessionId }) => ({
          agentId: `${agentId}`,
          metadata,
          model,
          sessionId: `${sessionId}`
        })),
        [
          ["gpt-4o-mini", 49.9],
          ["gpt-4.1-nano", 9.9]
        ].map(([routed = "", left = 0]) => ({
          agentId: "clerk",
          sessionId: "s",
          model: `${routed}`,
          metadata: { requested: "gpt-4o", routed, reason: "budget", remainingPct: left }
        }))
      )
      const [changed, ...more] = yield* events("routing.policy_changed")
      assert.deepStrictEqual([changed?.agentId, changed?.metadata, more], ["clerk", { policy: thrifty }, []])
    }).pipe(Effect.provide(memory(on)))
  )

  it.effect("follows an explicit table, the exact name before the longest prefix, whatever is left (ROU-01)", () =>
    Effect.gen(function* () {
      const rules = { "gpt-4o": "claude-haiku-4-5", "gpt-4*": "gpt-4o-mini", "gpt-4.1*": "gpt-4.1-nano" }
      yield* register({ mode: "rules", rules })
      for (const [asked, routed] of [
        ["gpt-4o", "claude-haiku-4-5"],
        ["gpt-4o-2024-05-13", "gpt-4o-mini"],
        ["gpt-4.1", "gpt-4.1-nano"],
        ["claude-sonnet-4-6", "claude-sonnet-4-6"],
        ["gpt-4o-mini", "gpt-4o-mini"],
        ["toString", "toString"]
      ] as const) {
        assert.strictEqual(yield* suggest(asked), routed, asked)
      }
      assert.deepStrictEqual(
        (yield* events("routing.suggestion")).map(({ metadata }) => Reflect.get(metadata as object, "reason")),
        ["rule", "rule", "rule"]
      )
    }).pipe(Effect.provide(memory(on)))
  )

  it.effect(
    "suggests nothing above the ceiling of the agent, nor of one above it: the next cheaper, or no change (ROU-02)",
    () =>
      Effect.gen(function* () {
        yield* budget(10)
        yield* spend(9)
        yield* register(thrifty)
        yield* allow(["gpt-4o*"])
        assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o-mini")
        yield* allow(["gpt-4o"])
        assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o")
        yield* register({ mode: "rules", rules: { "gpt-4o": "gpt-4o-mini" } })
        assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o")
        yield* allow(["gpt-4o*"])
        yield* Presence.use((presence) => presence.delegate("clerk", "intern"))
        assert.strictEqual(yield* suggest("gpt-4o", { agentId: "intern" }), "gpt-4o-mini")
        yield* allow(["*"], "intern")
        yield* allow(["gpt-4o"])
        assert.strictEqual(yield* suggest("gpt-4o", { agentId: "intern" }), "gpt-4o")
      }).pipe(Effect.provide(memory(on)))
  )

  it.effect(
    "goes by the tightest budget on the path; the nearest policy counts, and it is the delegate's row (BEY-09)",
    () =>
      Effect.gen(function* () {
        yield* budget(10, "boss")
        yield* spend(9, "boss")
        yield* Presence.use((presence) => presence.delegate("boss", "intern"))
        yield* budget(100, "intern")
        assert.strictEqual(yield* suggest("gpt-4o", { agentId: "intern" }), "gpt-4o")
        yield* register(thrifty, "boss")
        assert.strictEqual(yield* suggest("gpt-4o", { agentId: "intern" }), "gpt-4.1-nano")
        yield* register({ mode: "rules", rules: { "gpt-4o": "gpt-4.1" } }, "intern")
        assert.strictEqual(yield* suggest("gpt-4o", { agentId: "intern" }), "gpt-4.1")
        assert.deepStrictEqual(
          (yield* events("routing.suggestion")).map(({ agentId }) => `${agentId}`),
          ["intern", "intern"]
        )
      }).pipe(Effect.provide(memory(on)))
  )

  it.effect("never suggests a model without a price, the fallback rate or not, nor another provider's (OQ-12)", () =>
    Effect.gen(function* () {
      yield* budget(10)
      yield* spend(9.9)
      const unknown = { model: "no-such-model", budgetRemainingPct: 90 }
      yield* register({ mode: "cost_aware", cheaperModels: [unknown] })
      assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o")
      yield* register({ mode: "rules", rules: { "gpt-4o": "no-such-model", "gpt-4.1": "claude-haiku-4-5" } })
      assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o")
      assert.strictEqual(yield* suggest("gpt-4.1", { provider: "openai" }), "gpt-4.1")
      assert.strictEqual(yield* suggest("gpt-4.1"), "claude-haiku-4-5")
      // What an unknown model costs nobody knows: nothing is known to be cheaper.
      yield* register(thrifty)
      assert.strictEqual(yield* suggest("no-such-model"), "no-such-model")
      assert.strictEqual(yield* suggest("gpt-4.1-nano"), "gpt-4.1-nano")
    }).pipe(
      Effect.provide(
        memory({ ...on, costStrictUnknownModels: false, costUnknownModelFallbackUsdPerMillion: "0.000001" })
      )
    )
  )

  const models = [
    ...["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o-2024-05-13", "o3", "o4-mini"],
    ...[
      "claude-opus-4-7",
      "claude-sonnet-4-6",
      "claude-haiku-4-5",
      "gemini-2.5-pro",
      "gemini-2.5-flash",
      "nobody-knows"
    ]
  ]
  const anyModel = Schema.Literals(models)
  const anyTokens = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_000_000 }))
  let substituted = 0
  it.effect.prop(
    "by budget: what is suggested is in the allowed models and never dearer, whatever the call uses (ROU-02)",
    {
      asked: anyModel,
      steps: Schema.NonEmptyArray(anyModel).check(Schema.isMaxLength(6)),
      allowed: Schema.Array(anyModel).check(Schema.isMaxLength(8)),
      spent: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 110 })),
      tokens: Schema.Tuple([anyTokens, anyTokens, anyTokens])
    },
    ({ allowed, asked, spent, steps, tokens: [inputTokens, cached, outputTokens] }) =>
      Effect.gen(function* () {
        yield* budget(100)
        yield* spend(spent)
        yield* allow(allowed)
        const cheaperModels = steps.map((model, i) => ({ model, budgetRemainingPct: 100 - i * 15 }))
        yield* register({ mode: "cost_aware", cheaperModels })
        const routed = yield* suggest(asked)
        if (routed === asked) return
        substituted++
        const policy = {
          allowedTools: [],
          allowedApis: [],
          hiddenTools: [],
          allowLlmCalls: true,
          allowedModels: allowed
        }
        assert.isTrue(allowsModel(policy, routed))
        assert.include(steps, routed)
        const pricing = yield* Pricing
        const usage = { inputTokens, outputTokens, cachedInputTokens: Math.min(cached, inputTokens) }
        const [before, after] = [
          yield* pricing.price({ model: asked, ...usage }),
          yield* pricing.price({ model: routed, ...usage })
        ]
        assert.isTrue(after.usd <= before.usd, `${routed} for ${asked}`)
      }).pipe(Effect.provide(memory(on), { local: true })),
    { arbitrary: { runs: 150 } }
  )

  it("the property above was about substitutions", () => assert.isAbove(substituted, 2))

  for (const how of ["down", "hanging"] as const) {
    it.effect(
      `keeps the model that was asked for when the store is ${how}, within the deadline (ROU-02, INV-1)`,
      () => {
        const line = newLine()
        const lines = capture()
        return Effect.gen(function* () {
          yield* budget(10)
          yield* spend(9.9)
          yield* register(thrifty)
          assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4.1-nano")
          line.state = how
          assert.strictEqual(yield* doneWithin("1 second")(suggest("gpt-4o")), "gpt-4o")
          assert.strictEqual(yield* doneWithin("1 second")(suggest("gpt-4o", { agentId: "stranger" })), "gpt-4o")
          assert.isNotEmpty(lines.named("routing.unknown"))
          line.state = "up"
        }).pipe(Effect.provide(lined(line, on)), Effect.provide(lines.layer))
      }
    )
  }

  it.effect("a substitution waits for no row: the log may be away (ROU-02, INV-1)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* register({ mode: "rules", rules: { "gpt-4o": "gpt-4o-mini" } })
      yield* suggest("gpt-4o")
      Object.assign(line, { state: "hanging", only: ["audit"] })
      assert.strictEqual(yield* doneWithin("0 seconds")(suggest("gpt-4o")), "gpt-4o-mini")
      line.state = "up"
    }).pipe(Effect.provide(lined(line, on)))
  })

  it.effect("names that cannot be ids change nothing and fail nothing (ROU-02)", () =>
    Effect.gen(function* () {
      yield* register({ mode: "rules", rules: { "gpt-4o": "gpt-4o-mini" } })
      for (const agentId of ["", "a".repeat(1000)]) assert.strictEqual(yield* suggest("gpt-4o", { agentId }), "gpt-4o")
      assert.strictEqual(yield* suggest(""), "")
    }).pipe(Effect.provide(memory(on)))
  )

  it.effect("is off by default: nothing is looked at, no policy is taken, nothing is warned (ENT-05, ROU-01)", () => {
    const lines = capture()
    return Effect.gen(function* () {
      const error = yield* Effect.flip(register(thrifty))
      assert.deepStrictEqual([error._tag, "module" in error && error.module], ["ModuleDisabledError", "routing"])
      assert.strictEqual(yield* suggest("gpt-4o"), "gpt-4o")
      assert.deepStrictEqual(lines.lines, [])
    }).pipe(Effect.provide(memory()), Effect.provide(lines.layer))
  })
})

describe("A routing policy", () => {
  const refused = (policy: unknown) => {
    const result = Schema.decodeUnknownResult(RoutingPolicy)(policy, { onExcessProperty: "error", errors: "all" })
    return Result.isFailure(result)
  }

  it("has one mode, models for ever less budget, and at least one of what it lists (OQ-11)", () => {
    const step = (model: string, budgetRemainingPct: number) => ({ model, budgetRemainingPct })
    assert.isFalse(refused(thrifty))
    assert.isFalse(refused({ mode: "rules", rules: { "gpt-4*": "gpt-4o-mini" } }))
    for (const policy of [
      {},
      { mode: "cheapest" },
      { mode: "cost_aware" },
      { mode: "cost_aware", cheaperModels: [] },
      { mode: "cost_aware", cheaperModels: [step("a", 20), step("b", 20)] },
      { mode: "cost_aware", cheaperModels: [step("a", 20), step("b", 50)] },
      { mode: "cost_aware", cheaperModels: [step("a", 0)] },
      { mode: "cost_aware", cheaperModels: [step("a", 101)] },
      { mode: "cost_aware", cheaperModels: [step("", 50)] },
      { mode: "cost_aware", cheaperModels: [step("a", 50)], rules: { a: "b" } },
      { mode: "rules", rules: {} },
      { mode: "rules", rules: { a: "" } }
    ]) {
      assert.isTrue(refused(policy), JSON.stringify(policy))
    }
  })

  it("can stand in a policy file, and what is wrong with one is named (ROU-01)", () => {
    const parse = (routing: unknown) => parsePolicyFile("p.json", JSON.stringify({ agents: { clerk: { routing } } }))
    assert.deepStrictEqual(Result.getOrThrow(parse(thrifty)), [
      { agentId: AgentId.make("clerk"), kind: "routing", body: thrifty }
    ])
    const wrong = parse({ mode: "rules", rule: { a: "b" } })
    assert.isTrue(Result.isFailure(wrong))
    if (Result.isFailure(wrong)) assert.include(wrong.failure.message, "agents.clerk.routing")
  })

  it("counts dollars only, the tightest first, holds as spent, and a cap of nothing as used up", () => {
    const cap = (name: BudgetState["caps"][number]["cap"], limit: bigint, used: bigint) => ({
      cap: name,
      policyOf: AgentId.make("clerk"),
      limit,
      used
    })
    assert.isNull(remainingPct([]))
    assert.isNull(remainingPct([cap("perSessionTokens", 10n, 10n), cap("perSessionSeconds", 10n, 10n)]))
    assert.strictEqual(remainingPct([cap("perSessionUsd", 3n, 1n), cap("perAgentUsdDaily", 10n, 1n)]), 66.66)
    assert.strictEqual(remainingPct([cap("perSessionUsd", 10n, 12n)]), 0)
    assert.strictEqual(remainingPct([cap("perSessionUsd", 0n, 0n)]), 0)
  })

  it("prefers the last step that applies and never goes past the model that is asked for", () => {
    assert.deepStrictEqual(candidates(thrifty, "gpt-4o", 10), ["gpt-4.1-nano", "gpt-4o-mini"])
    assert.deepStrictEqual(candidates(thrifty, "gpt-4o-mini", 10), ["gpt-4.1-nano"])
    assert.deepStrictEqual(candidates(thrifty, "gpt-4.1-nano", 10), [])
    assert.deepStrictEqual(candidates(thrifty, "gpt-4o", 50), [])
    assert.deepStrictEqual(candidates(thrifty, "gpt-4o", null), [])
  })
})
