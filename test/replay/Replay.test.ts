import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { replayJson, totalsOf } from "../../src/schema/ReplayReport.ts"
import { calls, run, says, user, verdicts } from "./Recordings.ts"

const reads = { scope: { allowedTools: ["get_*"] } }
const usage = (prompt_tokens: number, completion_tokens: number) => ({ usage: { prompt_tokens, completion_tokens } })

describe("replay judges every call of a recording by the real enforcement (BEY-14)", () => {
  it.effect("a listed tool is allowed, another is not, and the recording goes on (SCP-03)", () =>
    Effect.gen(function* () {
      const session = { id: "s", messages: [...calls("delete", {}, "gone"), ...calls("get_user", { id: 1 }, "ann")] }
      const { sessions } = yield* run([session], { "*": reads })
      assert.deepStrictEqual(verdicts(sessions[0]!.calls), ["delete: ScopeViolation", "get_user: allowed"])
      assert.include(sessions[0]!.calls[0]!.reason ?? "", "get_*")
    })
  )

  it.effect("an agent without a scope policy may use nothing (SCP-03)", () =>
    Effect.gen(function* () {
      const { sessions } = yield* run([{ agent: "stranger", messages: calls("get_user", {}) }], { clerk: reads })
      assert.deepStrictEqual(verdicts(sessions[0]!.calls), ["get_user: PolicyNotRegistered"])
    })
  )

  it.effect("a gated tool is reported as waiting for approval, in those words", () =>
    Effect.gen(function* () {
      const policy = { scope: { allowedTools: ["cancel"] }, gate: { requireApproval: ["cancel"] } }
      const { sessions } = yield* run([{ messages: calls("cancel", {}) }], { "*": policy })
      assert.deepStrictEqual(verdicts(sessions[0]!.calls), ["cancel: ApprovalPending"])
      assert.include(sessions[0]!.calls[0]!.reason ?? "", "would wait for approval")
    })
  )

  it.effect(
    "a budget stops the calls that do not fit; a refused call costs nothing, so a smaller one still fits (CST-03, DEC-07)",
    () =>
      Effect.gen(function* () {
        // gpt-4o: $2.50 and $10.00 for a million tokens. The calls would cost $0.0075, $0.03 and $0.0025.
        const session = {
          id: "s",
          model: "gpt-4o",
          messages: [says("a", usage(1000, 500)), says("b", usage(8000, 1000)), says("c", usage(600, 100))]
        }
        const result = yield* run([session], { "*": { ...reads, budget: { perSessionUsd: "0.01" } } })
        assert.deepStrictEqual(verdicts(result.sessions[0]!.calls, "llm"), [
          "gpt-4o: allowed",
          "gpt-4o: BudgetExceeded",
          "gpt-4o: allowed"
        ])
        const totals = totalsOf(result)
        assert.deepStrictEqual(
          [totals.allowedUsd, totals.stoppedUsd, totals.costs],
          [10_000_000n, 30_000_000n, "recorded"]
        )
      })
  )

  it.effect("each session has its own budget, and days are those of the recording (CST-01)", () =>
    Effect.gen(function* () {
      const session = (id: string, day: string) => ({
        id,
        model: "gpt-4o",
        messages: [says("a", { ...usage(1000, 500), timestamp: `2026-03-${day}T23:59:00Z` })]
      })
      const policy = { "*": { ...reads, budget: { perAgentUsdDaily: "0.01" } } }
      const { sessions } = yield* run([session("1", "01"), session("2", "01"), session("3", "02")], policy)
      assert.deepStrictEqual(
        sessions.map(({ calls }) => calls[0]!.verdict),
        ["allowed", "BudgetExceeded", "allowed"]
      )
    })
  )

  it.effect(
    "the same call with the same answer is a loop; another answer, or another argument, is progress (BEY-15)",
    () =>
      Effect.gen(function* () {
        const messages = [
          ...calls("get_state", { id: 1, of: "x" }, "waiting"),
          ...calls("get_state", '{ "of": "x", "id": 1 }', "waiting"),
          ...calls("get_state", { id: 1, of: "x" }, "waiting"),
          ...calls("get_state", { id: 2, of: "x" }, "waiting"),
          ...calls("get_state", { id: 1, of: "x" }, "done")
        ]
        const loop = { windowSeconds: 60, maxCalls: 100, progress: { maxRepeats: 2 } }
        const { sessions } = yield* run([{ messages }], { "*": { ...reads, loop } })
        assert.deepStrictEqual(
          sessions[0]!.calls.map((call) => call.verdict),
          ["allowed", "allowed", "LoopDetected", "allowed", "allowed"]
        )
      })
  )

  it.effect(
    "loop windows and time limits follow the recorded times; without any, a message takes a second (LOP-02, CST-02)",
    () =>
      Effect.gen(function* () {
        const loop = { windowSeconds: 10, maxCalls: 2 }
        const at = (second: number) => calls("get_x", {}, undefined, { timestamp: 1_700_000_000 + second })
        const fast = { id: "fast", messages: [...at(0), ...at(1), ...at(2), ...at(30)] }
        const untimed = {
          id: "untimed",
          messages: [...calls("get_x", {}), ...calls("get_x", {}), ...calls("get_x", {})]
        }
        const long = { id: "long", messages: [...at(100), ...at(219), ...at(220)] }
        const { sessions } = yield* run([fast, untimed, long], {
          "*": { ...reads, loop, budget: { perSessionSeconds: 120 } }
        })
        assert.deepStrictEqual(
          sessions.map(({ calls }) => calls.map((call) => call.verdict).join(" ")),
          ["allowed allowed LoopDetected allowed", "allowed allowed LoopDetected", "allowed allowed BudgetExceeded"]
        )
      })
  )

  it.effect("a model that the policy does not list, and one without a price, are stopped (SCP-01, OQ-12)", () =>
    Effect.gen(function* () {
      const messages = [
        says("a", { model: "gpt-4o" }),
        says("b", { model: "claude-sonnet-4-6" }),
        says("c", { model: "gpt-4o-nobody" })
      ]
      const { sessions } = yield* run([{ messages }], { "*": { scope: { allowedModels: ["gpt-*"] } } })
      assert.deepStrictEqual(
        sessions[0]!.calls.map((call) => call.verdict),
        ["allowed", "ScopeViolation", "UnknownModelError"]
      )
    })
  )

  it.effect("an agent's own policy replaces the one of * kind by kind", () =>
    Effect.gen(function* () {
      const messages = [...calls("get_user", {}), ...calls("refund", {})]
      const policy = {
        "*": { ...reads, gate: { requireApproval: ["refund"] } },
        clerk: { scope: { allowedTools: ["refund"] } }
      }
      const { sessions } = yield* run(
        [
          { id: 1, messages },
          { id: 2, agent: "clerk", messages }
        ],
        policy
      )
      assert.deepStrictEqual(
        sessions.map(({ calls }) => calls.map((call) => call.verdict).join(" ")),
        ["allowed ScopeViolation", "ScopeViolation ApprovalPending"]
      )
    })
  )

  it.effect("broken arguments and arguments beyond the cap are reported and end nothing (R-13)", () =>
    Effect.gen(function* () {
      const messages = [
        ...calls("get_a", "{broken"),
        ...calls("get_b", { text: "x".repeat(70_000) }),
        ...calls("get_c", "")
      ]
      const result = yield* run([{ messages }], { "*": reads })
      assert.deepStrictEqual(verdicts(result.sessions[0]!.calls), [
        "get_a: allowed",
        "get_b: InvalidInput",
        "get_c: allowed"
      ])
      assert.strictEqual(totalsOf(result).brokenArguments, 1)
    })
  )

  it.effect("costs without usage are estimates, and say so; replies of an unnamed model are counted apart", () =>
    Effect.gen(function* () {
      const lines = [
        { id: "a", model: "gpt-4o", messages: [user("hello"), says("good day")] },
        { id: "b", messages: [user("hello"), says("good day")] }
      ]
      const without = totalsOf(yield* run(lines, { "*": reads }))
      assert.deepStrictEqual([without.costs, without.llmCalls, without.unnamedModel], ["estimated", 1, 1])
      assert.isTrue(without.allowedUsd > 0n)
      const given = totalsOf(yield* run(lines, { "*": reads }, { model: "gpt-4o" }))
      assert.deepStrictEqual([given.llmCalls, given.unnamedModel], [2, 0])
    })
  )

  it.effect("two lines with one id are two sessions: they share neither budget nor loop window", () =>
    Effect.gen(function* () {
      const session = { task_id: 7, messages: [...calls("get_x", {}), ...calls("get_x", {})] }
      const loop = { windowSeconds: 60, maxCalls: 2 }
      const { sessions } = yield* run([session, session], { "*": { ...reads, loop } })
      assert.deepStrictEqual(
        sessions.map(({ id }) => id),
        ["7", "7 (line 2)"]
      )
      assert.isTrue(sessions.every(({ calls }) => calls.every((call) => call.verdict === "allowed")))
    })
  )

  it.effect("the same input gives the same bytes", () =>
    Effect.gen(function* () {
      const lines = [
        {
          id: "s",
          model: "gpt-4o",
          messages: [user("hi"), ...calls("get_x", {}, "1"), ...calls("drop", {}), says("bye")]
        }
      ]
      const policy = {
        "*": { ...reads, loop: { windowSeconds: 60, maxCalls: 1 }, budget: { perSessionUsd: "0.0004" } }
      }
      const first = JSON.stringify(replayJson(yield* run(lines, policy)))
      assert.strictEqual(JSON.stringify(replayJson(yield* run(lines, policy))), first)
    })
  )
})

describe("lines that are no session", () => {
  const good = { id: "good", messages: [] }

  it.effect("the first one ends the replay with its number and its fault (L-06)", () =>
    Effect.gen(function* () {
      for (const [line, fault] of [
        ["{", "is not JSON"],
        ['{"id":1}', "messages"],
        ['{"messages":[{"content":"no role"}]}', "role"],
        ['{"messages":[],"agent":"\\u001b[31m"}', "agent's name"],
        ['"text"', "is no session"]
      ] as const) {
        const error = yield* Effect.flip(run([good, line], { "*": reads }))
        assert.strictEqual(error._tag, "UsageError")
        assert.include(error.message, "test.jsonl, line 2,")
        assert.include(error.message, fault)
      }
    })
  )

  it.effect("they are left out and named when that is asked for", () =>
    Effect.gen(function* () {
      const result = yield* run(["{", good, "", "[]"], { "*": reads }, { skipInvalid: true })
      assert.deepStrictEqual(
        result.skipped.map(({ line }) => line),
        [1, 4]
      )
      assert.deepStrictEqual(
        result.sessions.map(({ line }) => line),
        [2]
      )
    })
  )

  it.effect("a file without any session is an error, never an empty success", () =>
    Effect.gen(function* () {
      const empty = yield* Effect.flip(run([], { "*": reads }))
      assert.include(empty.message, "has no sessions")
      const malformed = yield* Effect.flip(run(["{"], { "*": reads }, { skipInvalid: true }))
      assert.include(malformed.message, "no usable session")
    })
  )
})
