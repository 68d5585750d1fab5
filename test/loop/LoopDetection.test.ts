import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { LoopStep } from "../../src/schema/Loop.ts"
import { detect, type Progress } from "../../src/schema/LoopDetection.ts"

const policy: Progress = { maxRepeats: 3, maxCycles: 2, polling: { "Job.Status": 5 } }

/** `a1 a1 b-`: a signature letter and a result each, `-` for none. */
const steps = (text: string): ReadonlyArray<LoopStep> =>
  text
    .split(" ")
    .filter((step) => step !== "")
    .map((step) => ({ signature: step[0]!, resultHash: step[1] === "-" ? null : step.slice(1) }))

const asked = (text: string, signature: string, tool = "tool") => detect(steps(text), { signature, tool }, policy)

describe("detect", () => {
  it("allows maxRepeats identical calls in a row and stops the next (BEY-15)", () => {
    assert.isNull(asked("", "a"))
    assert.isNull(asked("a1 a1", "a"))
    assert.deepStrictEqual(asked("a1 a1 a1", "a"), { pattern: "repeat", count: 4, limit: 3 })
    assert.deepStrictEqual(asked("b1 a1 a1 a1 a1", "a"), { pattern: "repeat", count: 5, limit: 3 })
  })

  it("takes another result of the same call, or another call, for progress (BEY-15)", () => {
    assert.isNull(asked("a1 a1 a2", "a"))
    assert.isNull(asked("a1 a2 a3 a4 a5", "a"))
    assert.isNull(asked("a1 a1 b1 a1", "a"))
    assert.isNull(asked("a1 a1 a1", "b"))
  })

  it("takes an unknown result for no progress, but not for a bridge between two different ones", () => {
    assert.isNotNull(asked("a- a- a-", "a"))
    assert.isNotNull(asked("a1 a- a1", "a"))
    assert.isNull(asked("a1 a- a2", "a"))
  })

  it("allows maxCycles rounds of a cycle of 2, 3 or 4 calls and stops the call that begins the next (BEY-15)", () => {
    assert.isNull(asked("a1 b1 a1", "b"))
    assert.deepStrictEqual(asked("a1 b1 a1 b1", "a"), { pattern: "cycle", count: 3, limit: 2 })
    assert.isNull(asked("a1 b1 c1 a1 b1", "c"))
    assert.deepStrictEqual(asked("a1 b1 c1 a1 b1 c1", "a"), { pattern: "cycle", count: 3, limit: 2 })
    assert.isNull(asked("a1 b1 c1 d1 a1 b1 c1", "d"))
    assert.deepStrictEqual(asked("a1 b1 c1 d1 a1 b1 c1 d1", "a"), { pattern: "cycle", count: 3, limit: 2 })
    assert.isNull(asked("a1 b1 c1 d1 e1 a1 b1 c1 d1 e1", "a"))
  })

  it("stops no cycle that brings a new result in its last rounds (BEY-15)", () => {
    assert.isNull(asked("a1 b1 a1 b2", "a"))
    assert.isNull(asked("a1 b1 a2 b1", "a"))
    assert.isNotNull(asked("a9 b9 a1 b1 a1 b1", "a"))
  })

  it("gives a declared polling tool its own allowance, whatever the case of its name (BEY-15)", () => {
    assert.isNull(asked("a1 a1 a1 a1", "a", "job.status"))
    assert.deepStrictEqual(asked("a1 a1 a1 a1 a1", "a", "JOB.STATUS"), { pattern: "repeat", count: 6, limit: 5 })
    assert.isNull(asked("a1 b1 a1 b1 a1 b1", "a", "job.status"))
    assert.isNotNull(asked("a1 a1 a1", "a", "constructor"))
  })

  it.prop(
    "never stops a session in which every result is new, whatever it calls (BEY-15)",
    { calls: Schema.Array(Schema.Literals(["a", "b", "c"])).check(Schema.isMaxLength(32)) },
    ({ calls }) =>
      detect(
        calls.map((signature, i) => ({ signature, resultHash: `${i}` })),
        { signature: "a", tool: "t" },
        { ...policy, maxRepeats: 2 }
      ) === null
  )

  it.prop(
    "always stops one call that is repeated with one result (BEY-15)",
    { rounds: Schema.Int.check(Schema.isGreaterThanOrEqualTo(3), Schema.isLessThanOrEqualTo(32)) },
    ({ rounds }) => asked("a1 ".repeat(rounds), "a")?.count === rounds + 1
  )
})
