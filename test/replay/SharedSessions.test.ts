import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Stream } from "effect"
import { replay } from "../../src/cli/replay/Replay.ts"
import { parsePolicyFile } from "../../src/schema/PolicyFileText.ts"
import { namesOf, replayJson, totalsOf } from "../../src/schema/ReplayReport.ts"

const root = join(import.meta.dirname, "../..")
const recording = join(root, "../shared/data/tau-bench-airline-gpt-4o.jsonl")
const absent = existsSync(recording) ? "" : " (skipped: ../shared/data is not here)"

const judge = (file: string) => {
  const text = readFileSync(join(root, "examples/policy.json"), "utf8")
  return replay(Stream.make(new Uint8Array(readFileSync(file))), {
    name: file,
    policy: { text, entries: Result.getOrThrow(parsePolicyFile("examples/policy.json", text, { wildcard: true })) },
    skipInvalid: false,
    onProgress: () => Effect.void
  })
}

describe.skipIf(absent !== "")(`the 200 recorded airline sessions under examples/policy.json${absent}`, () => {
  it.effect("give the golden result, byte-identical each time (BEY-14)", () =>
    Effect.gen(function* () {
      const result = yield* judge(recording)
      const totals = totalsOf(result)
      // What a count of the file itself says: 1,164 calls, 181 of tools that only write, 69 cancellations, 4 repeats.
      assert.deepStrictEqual(
        [totals.sessions, totals.toolCalls, totals.llmCalls, totals.brokenArguments, totals.unnamedModel],
        [200, 1164, 2454, 0, 0]
      )
      assert.deepStrictEqual(totals.toolVerdicts, {
        allowed: 910,
        ScopeViolation: 181,
        PolicyNotRegistered: 0,
        ApprovalPending: 69,
        BudgetExceeded: 0,
        LoopDetected: 4,
        UnknownModelError: 0,
        InvalidInput: 0,
        AgentHaltedError: 0
      })
      assert.strictEqual(totals.costs, "estimated")
      const stopped = namesOf(result.sessions).filter((one) => one.kind === "tool" && one.stopped > 0)
      assert.deepStrictEqual(
        stopped.map(({ name, stopped }) => [name, stopped]),
        [
          ["update_reservation_flights", 104],
          ["cancel_reservation", 69],
          ["book_reservation", 53],
          ["update_reservation_baggages", 14],
          ["send_certificate", 8],
          ["think", 2],
          ["update_reservation_passengers", 2],
          ["calculate", 1],
          ["search_direct_flight", 1]
        ]
      )
      const loops = result.sessions.flatMap((session) =>
        session.calls.flatMap((call) =>
          call.verdict === "LoopDetected" ? [`${session.id} ${call.message} ${call.name}`] : []
        )
      )
      assert.deepStrictEqual(loops, [
        "13-1 18 search_direct_flight",
        "17-1 32 calculate",
        "9-2 54 think",
        "9-2 58 think"
      ])
      // No session may have spent more than its budget of $0.25, and what was refused would have gone beyond it.
      for (const session of result.sessions) {
        const spent = session.calls.reduce((sum, call) => (call.verdict === "allowed" ? sum + call.usd : sum), 0n)
        assert.isTrue(spent <= 250_000_000n, session.id)
        for (const call of session.calls) {
          if (call.verdict === "BudgetExceeded") assert.isTrue(spent + call.usd > 250_000_000n, session.id)
        }
      }
      // The price list or the token estimate changed if this does: see that the new numbers are right, then write them here.
      assert.deepStrictEqual([totals.llmVerdicts.allowed, totals.llmVerdicts.BudgetExceeded], [2332, 122])
      const json = JSON.stringify(replayJson(result))
      assert.strictEqual(JSON.stringify(replayJson(yield* judge(recording))), json)
    })
  )
})

describe("examples/sessions.jsonl", () => {
  it.effect("meets every kind of verdict that a policy can give under examples/policy.json", () =>
    Effect.gen(function* () {
      const { verdicts } = totalsOf(yield* judge(join(root, "examples/sessions.jsonl")))
      assert.deepStrictEqual(
        [verdicts.ScopeViolation, verdicts.ApprovalPending, verdicts.BudgetExceeded, verdicts.LoopDetected].map(
          (count) => count > 0
        ),
        [true, true, true, true]
      )
    })
  )
})
