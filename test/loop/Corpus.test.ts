import { existsSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { LoopStep } from "../../src/schema/Loop.ts"
import { type Detection, detect, type Progress } from "../../src/schema/LoopDetection.ts"
import { loops, progress, type Step, type Trace } from "./corpus.ts"

/** The policy that `docs` recommend: 3 in a row, 3 rounds, declared polling tools 20. */
const policy: Progress = { maxRepeats: 3, maxCycles: 3, polling: { "job.status": 20, sleep: 20, "approval.get": 20 } }

/** Runs a session as admission and the Governor do: 32 earlier calls, asked before each call. */
const firstHit = (steps: ReadonlyArray<Step>, rules = policy): (Detection & { readonly at: number }) | null => {
  let recent: ReadonlyArray<LoopStep> = []
  for (const [at, { args, result, tool }] of steps.entries()) {
    const signature = JSON.stringify([tool, args])
    const hit = detect(recent, { signature, tool }, rules)
    if (hit !== null) return { ...hit, at }
    recent = [...recent, { signature, resultHash: result }].slice(-32)
  }
  return null
}

const hits = (traces: ReadonlyArray<Trace>) => traces.filter(({ steps }) => firstHit(steps) !== null)

const caught = hits(loops)
const falseAlarms = hits(progress)
const recall = caught.length / loops.length
const precision = caught.length / (caught.length + falseAlarms.length)
const percent = (share: number) => `${(100 * share).toFixed(1)} %`

describe("loop detection over a labelled corpus", () => {
  it(`has precision ${percent(precision)} and recall ${percent(recall)} on ${loops.length} loops and ${progress.length} traces of progress, at least 94 % and 91 % (BEY-15)`, () => {
    assert.isAtLeast(loops.length, 30)
    assert.isAtLeast(progress.length, 30)
    assert.isAtLeast(precision, 0.94)
    assert.isAtLeast(recall, 0.91)
  })

  it("misses only what no rule over the hashes of 32 calls can see, and errs only there (BEY-15)", () => {
    assert.deepStrictEqual(
      loops.filter((trace) => !caught.includes(trace)).map(({ name }) => name),
      [
        "waits with sleeps, far beyond what polling allows",
        "says the same in other words each time",
        "circles over five tools"
      ]
    )
    assert.deepStrictEqual(
      falseAlarms.map(({ name }) => name),
      ["waits for the same door to open, polling undeclared", "sends the same greeting to four visitors"]
    )
  })

  it("needs the results to tell them apart: without results it would stop honest work (BEY-15)", () => {
    const blind = progress.filter(({ steps }) => firstHit(steps.map((step) => ({ ...step, result: null }))) !== null)
    assert.isAbove(blind.length, falseAlarms.length + 5)
  })
})

const recorded = new URL("../../../shared/data/tau-bench-airline-gpt-4o.jsonl", import.meta.url)

const Session = Schema.fromJsonString(
  Schema.Struct({
    messages: Schema.Array(
      Schema.Struct({
        role: Schema.String,
        content: Schema.NullOr(Schema.String),
        tool_call_id: Schema.optional(Schema.NullOr(Schema.String)),
        tool_calls: Schema.optional(
          Schema.NullOr(
            Schema.Array(
              Schema.Struct({
                id: Schema.String,
                function: Schema.Struct({ name: Schema.String, arguments: Schema.String })
              })
            )
          )
        )
      })
    )
  })
)

describe.skipIf(!existsSync(recorded))(
  "loop detection over 200 recorded airline sessions (skipped where the recording is absent)",
  () => {
    it.effect(
      "stops at most 2 % of them, and only where the agent did repeat itself without a new result (BEY-15)",
      () =>
        Effect.gen(function* () {
          const lines = readFileSync(recorded, "utf8").trim().split("\n")
          const sessions = yield* Effect.forEach(lines, (line) => Schema.decodeUnknownEffect(Session)(line))
          const traces = sessions.map(({ messages }) =>
            messages.flatMap(({ tool_calls }) =>
              (tool_calls ?? []).map(
                ({ function: call, id }): Step => ({
                  tool: call.name,
                  args: call.arguments,
                  result: messages.find((message) => message.tool_call_id === id)?.content ?? null
                })
              )
            )
          )
          assert.strictEqual(traces.length, 200)
          assert.strictEqual(traces.flat().length, 1164)
          const stopped = traces.flatMap((steps) => {
            const hit = firstHit(steps)
            return hit === null ? [] : [{ hit, steps }]
          })
          assert.isAtMost(stopped.length, 4)
          for (const { hit, steps } of stopped) {
            const seen = steps
              .slice(0, hit.at)
              .filter(({ args, tool }) => args === steps[hit.at]!.args && tool === steps[hit.at]!.tool)
            assert.isAtLeast(seen.length, 3)
          }
        })
    )
  }
)
