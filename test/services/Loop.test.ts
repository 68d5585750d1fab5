import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Loop } from "../../src/services/Loop.ts"
import * as LoopWindow from "../../src/services/LoopWindow.ts"
import { Presence } from "../../src/services/Presence.ts"
import { capture, doneWithin, has, kinds, lined, memory, newLine } from "./World.ts"

const agentId = "clerk"
const register = (policy: { readonly maxCalls: number; readonly action?: "raise" | "log" }) =>
  Effect.flatMap(Loop, (loop) => loop.register({ agentId, windowSeconds: 60, ...policy }))
const record = (tool = "search", session: string | null = "s1") =>
  Effect.flatMap(Loop, (loop) => loop.recordCall(agentId, session, tool))
const check = (session: string | null = "s1") => Effect.flatMap(Loop, (loop) => loop.check(agentId, session))

describe("Loop", () => {
  it.effect("does nothing without a policy (39)", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 50; i++) yield* record()
      assert.isFalse(yield* check())
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "fires when the count exceeds the limit, by agent, session and tool, whatever the case (LOP-01, LOP-02, C-30)",
    () =>
      Effect.gen(function* () {
        yield* register({ maxCalls: 2 })
        yield* record("search")
        yield* record("SEARCH")
        yield* record("read")
        yield* record("search", "s2")
        yield* record("search", null)
        const error = yield* Effect.flip(record("Search"))
        has(error, { _tag: "LoopDetected", tool: "search", pattern: "count", count: 3, limit: 2, windowSeconds: 60 })
        assert.deepStrictEqual(yield* kinds("s1"), ["loop.detected"])
      }).pipe(Effect.provide(memory()))
  )

  it.effect("forgets what is older than its window (LOP-02)", () =>
    Effect.gen(function* () {
      yield* register({ maxCalls: 2 })
      yield* record()
      yield* TestClock.adjust("30 seconds")
      yield* record()
      yield* TestClock.adjust("31 seconds")
      yield* record()
      assert.strictEqual((yield* Effect.flip(record()))._tag, "LoopDetected")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("with action log it warns, writes the row and goes on (LOP-02)", () => {
    const log = capture()
    return Effect.gen(function* () {
      yield* register({ maxCalls: 1, action: "log" })
      yield* record()
      yield* record()
      assert.deepStrictEqual(yield* kinds("s1"), ["loop.detected"])
      assert.strictEqual(log.named("loop.detected").length, 1)
    }).pipe(Effect.provide(memory()), Effect.provide(log.layer))
  })

  it.effect("check says whether a window is over, and counts nothing (LOP-03)", () =>
    Effect.gen(function* () {
      yield* register({ maxCalls: 1 })
      yield* record()
      for (let i = 0; i < 5; i++) assert.isFalse(yield* check())
      yield* Effect.ignore(record())
      assert.isTrue(yield* check())
      assert.isFalse(yield* check("s2"))
      yield* TestClock.adjust("61 seconds")
      assert.isFalse(yield* check())
    }).pipe(Effect.provide(memory()))
  )

  it.effect("never halts the agent (LOP-04, C-30)", () =>
    Effect.gen(function* () {
      yield* register({ maxCalls: 1 })
      yield* record()
      yield* Effect.ignore(record())
      assert.isFalse(yield* Effect.flatMap(Presence, (presence) => presence.isHalted(agentId)))
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "goes on with a window in memory while the store is down or hangs, also for a policy that was never stored (39, RES-02)",
    () =>
      Effect.gen(function* () {
        for (const how of ["down", "hanging"] as const) {
          const line = newLine()
          const log = capture()
          // One deadline for the question, and one for the first row that the log cannot take.
          const soon = doneWithin("2 seconds")
          yield* Effect.gen(function* () {
            line.state = how
            yield* register({ maxCalls: 2 })
            yield* soon(record())
            yield* soon(record())
            has(yield* soon(Effect.flip(record())), { _tag: "LoopDetected", count: 3 })
            assert.isFalse(yield* soon(check()))
            assert.isAtLeast(log.named("loop.store_failed").length, 3)
            yield* TestClock.adjust("61 seconds")
            yield* soon(record())
            line.state = "up"
          }).pipe(Effect.provide(lined(line), { local: true }), Effect.provide(log.layer))
        }
      })
  )

  it.effect("refuses names that are none (A-14)", () =>
    Effect.gen(function* () {
      for (const tool of ["", "\u0000", "x".repeat(513), 5 as never]) {
        assert.strictEqual((yield* Effect.flip(record(tool)))._tag, "InvalidInput")
      }
      assert.isFalse(yield* Effect.flatMap(Loop, (loop) => loop.check("", null)))
    }).pipe(Effect.provide(memory()))
  )

  it.effect("the window in memory is bounded in windows and in calls (R-08)", () =>
    Effect.gen(function* () {
      const window = LoopWindow.make(2)
      const count = (tool: string) => window.count(agentId as never, null, tool, 60)
      yield* Effect.repeat(count("a"), { times: 4999 })
      assert.strictEqual(yield* count("a"), 1001)
      yield* count("b")
      yield* count("c")
      assert.strictEqual(yield* count("a"), 1)
    })
  )
})
