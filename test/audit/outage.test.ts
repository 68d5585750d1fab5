import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Stream } from "effect"
import { TestClock } from "effect/testing"
import { ChainId } from "../../src/schema/Ids.ts"
import * as Audit from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { type Line, layerLine } from "./Rig.ts"

const event = (i: number) => ({ kind: "tool.call", agentId: "agent-1", sessionId: "s", metadata: { i } })
const newLine = (): Line => ({ state: "up", appends: 0 })
const rig = (line: Line, fallback: AuditFallback.MemoryFallbackOptions = {}) =>
  Audit.layerWith().pipe(Layer.provide(AuditFallback.layerMemoryWith(fallback)), Layer.provideMerge(layerLine(line)))
const rows = Effect.flatMap(AuditStore, (store) => Stream.runCollect(store.rows(ChainId.make("session:s"))))
const numbers = Effect.map(rows, (found) =>
  found.map((row) => Number(/"i":(\d+)/.exec(row.canonical)?.[1])).sort((a, b) => a - b)
)
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i)

/** An event every 100 ms of test time, as a busy agent makes them. */
const during = Effect.fnUntraced(function* (seconds: number, from: number) {
  const audit = yield* Audit.Audit
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  for (let i = 0; i < seconds * 10; i++) {
    fibers.push(yield* Effect.forkChild(audit.log(event(from + i)), { startImmediately: true }))
    yield* TestClock.adjust("100 millis")
  }
  yield* TestClock.adjust("1 second")
  return yield* Effect.forEach(fibers, Fiber.await)
})

describe("a database that does not answer", () => {
  for (const state of ["down", "hanging", "deaf"] as const) {
    it.effect(`for 30 seconds (${state}) costs no event and fails no log (PRF-05, AUD-16, DEC-06)`, () => {
      const line = newLine()
      return Effect.gen(function* () {
        const audit = yield* Audit.Audit
        yield* during(1, 0)
        line.state = state
        const exits = yield* during(30, 10)
        line.state = "up"
        yield* TestClock.adjust("20 seconds")
        exits.push(...(yield* during(1, 310)))
        assert.isTrue(exits.every(Exit.isSuccess))
        assert.deepStrictEqual(yield* numbers, upTo(320))
        assert.isTrue(yield* audit.verifyChain())
        const stats = yield* audit.stats
        assert.strictEqual(stats.waiting, 0)
        assert.strictEqual(stats.placeholders, 0)
        assert.isAbove(stats.spooled, 280)
      }).pipe(Effect.provide(rig(line)))
    })
  }

  it.effect("holds the first caller for the deadline, and nobody after it (DEC-06, THR: black hole)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      const audit = yield* Audit.Audit
      line.state = "hanging"
      const first = yield* Effect.forkChild(audit.log(event(0)), { startImmediately: true })
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(first)).status, "spooled")
      // No time passes for the second.
      assert.strictEqual((yield* audit.log(event(1))).status, "spooled")
    }).pipe(Effect.provide(rig(line)))
  })

  it.effect("fails require, within the deadline (DEC-06)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      const audit = yield* Audit.Audit
      line.state = "hanging"
      const waiting = yield* Effect.forkChild(Effect.flip(audit.require(event(0))), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "StoreError", problem: "deadline" })
      line.state = "down"
      assert.deepInclude(yield* Effect.flip(audit.require(event(1))), { problem: "unreachable" })
      assert.strictEqual((yield* audit.stats).spooled, 0)
    }).pipe(Effect.provide(rig(line)))
  })

  for (const state of ["deaf", "hanging"] as const) {
    it.effect(`an interrupted log is kept all the same, once (${state}; BEY-06, A-26)`, () => {
      const line = newLine()
      return Effect.gen(function* () {
        const audit = yield* Audit.Audit
        line.state = state
        const fiber = yield* Effect.forkChild(audit.log(event(0)), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        line.state = "up"
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* numbers, [0])
        assert.strictEqual((yield* audit.stats).waiting, 0)
      }).pipe(Effect.provide(rig(line)))
    })
  }

  it.effect(
    "a late event carries the moment it was logged inside what is hashed, and no caller can forge that (A-26)",
    () => {
      const line = newLine()
      return Effect.gen(function* () {
        const audit = yield* Audit.Audit
        yield* TestClock.adjust("1 hour")
        line.state = "down"
        const spooled = yield* audit.log({ ...event(0), metadata: { i: 0, $delayed: "forged" } })
        assert.strictEqual(spooled.hmac, "0".repeat(64))
        assert.strictEqual(spooled.seq, 0)
        yield* TestClock.adjust("10 minutes")
        line.state = "up"
        yield* TestClock.adjust("10 seconds")
        const [stored] = yield* audit.getEvents({ chain: ChainId.make("session:s") })
        assert.strictEqual(stored?.id, spooled.id)
        assert.strictEqual(stored?.at, "1970-01-01T01:00:00.000Z")
        assert.strictEqual(stored?.delayedSince, "1970-01-01T01:00:00.000Z")
        assert.deepStrictEqual(stored?.metadata, { $delayed: "forged", i: 0 })
        const [row] = yield* rows
        assert.include(row?.canonical, '"metadata":{"$$delayed":"forged","$delayed":"1970-01-01T01:00:00.000Z","i":0}')
        // The same event again, this time on time, is still the same event.
        const again = yield* audit.require({ ...event(0), id: spooled.id, metadata: { i: 0, $delayed: "forged" } })
        assert.strictEqual(again.seq, 1)
      }).pipe(Effect.provide(rig(line)))
    }
  )

  it.effect("says when it degraded and when it recovered, with the number of events (AUD-16)", () => {
    const line = newLine()
    const lines: Array<unknown> = []
    const logger = Logger.make((entry) => void lines.push(entry.message))
    return Effect.gen(function* () {
      line.state = "down"
      yield* during(2, 0)
      line.state = "up"
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(lines.flat(), ["audit.primary_write_failed_degraded", "audit.primary_recovered"])
    }).pipe(Effect.provide(Layer.provideMerge(rig(line), Logger.layer([logger]))))
  })

  it.effect(
    "gives placeholders when the fallback is full too, and later says how many events are lost (AUD-08, R-03)",
    () => {
      const line = newLine()
      return Effect.gen(function* () {
        const audit = yield* Audit.Audit
        line.state = "down"
        const records = yield* Effect.forEach(upTo(5), (i) => audit.log(event(i)))
        assert.deepStrictEqual(
          records.map((record) => record.status),
          ["spooled", "spooled", "spooled", "placeholder", "placeholder"]
        )
        const last = records[4]!
        assert.isTrue(last.isPlaceholder)
        assert.strictEqual(last.hmac, "0".repeat(64))
        assert.deepStrictEqual(last.metadata, { i: 4, "audit.unavailable": true })
        line.state = "up"
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* numbers, [0, 1, 2])
        const dropped = yield* audit.getEvents({ kinds: ["audit.events_dropped"] })
        assert.deepStrictEqual(
          dropped.map((record) => record.metadata),
          [{ count: 2 }]
        )
        assert.strictEqual((yield* audit.stats).placeholders, 2)
      }).pipe(Effect.provide(rig(line, { maxEvents: 3 })))
    }
  )

  it.effect("bounds the bytes that wait, not only their number (R-03)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      const audit = yield* Audit.Audit
      line.state = "down"
      const big = { ...event(0), metadata: { a: "x".repeat(20_000) } }
      const records = yield* Effect.forEach(upTo(4), () => audit.log(big))
      assert.deepStrictEqual(
        records.map((record) => record.status),
        ["spooled", "spooled", "placeholder", "placeholder"]
      )
    }).pipe(Effect.provide(rig(line, { maxBytes: 100_000 })))
  })

  it.effect(
    "does not append twice what it had committed before the connection broke, nor what a broken replay repeats (A-26, F-02)",
    () => {
      const line = newLine()
      return Effect.gen(function* () {
        line.state = "deaf"
        yield* during(3, 0)
        line.state = "up"
        // Cut again and again in the middle of the replay.
        for (const state of ["down", "up", "deaf", "up", "hanging", "up"] as const) {
          line.state = state
          yield* TestClock.adjust("150 millis")
        }
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual(yield* numbers, upTo(30))
      }).pipe(Effect.provide(rig(line)))
    }
  )
})
