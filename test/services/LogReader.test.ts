import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId, agentChain } from "../../src/schema/Ids.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as LogReader from "../../src/services/LogReader.ts"
import * as PooledRandom from "../../src/services/PooledRandom.ts"
import { ReaderStore } from "../../src/services/ReaderStore.ts"
import { capture, memory } from "./World.ts"

const wanted = new Set(["wanted"])
const world = Layer.merge(memory(), PooledRandom.layer)

/** Writes `name` as the next row of an agent's chain. */
const write = (agentId: string, name: string, kind = "wanted") =>
  Audit.use((audit) => audit.log({ kind, agentId, metadata: { name } }))
const nameOf = ({ canonical }: ChainRow): string => JSON.parse(canonical).metadata.name

/** A reader that keeps the names it was shown, and runs until the fiber is interrupted. */
const reading = Effect.fnUntraced(function* (
  shown: Array<string>,
  handle: (row: ChainRow) => Effect.Effect<void> = () => Effect.void,
  reader = "test"
) {
  const fiber = yield* Effect.forkChild(
    LogReader.drain({
      reader,
      kinds: wanted,
      handle: (row) =>
        Effect.andThen(
          handle(row),
          Effect.sync(() => shown.push(nameOf(row)))
        )
    })
  )
  yield* TestClock.adjust("1 second")
  return fiber
})

/** The real store, with some of its answers replaced. */
const withLog = (change: (log: AuditStore["Service"]) => Partial<AuditStore["Service"]>) =>
  Effect.updateService(AuditStore, (log) => AuditStore.of({ ...log, ...change(log) }))

describe("LogReader", () => {
  it.effect(
    "a new reader begins with the present and is then shown every row of its kinds, in order by chain (design 4)",
    () =>
      Effect.gen(function* () {
        yield* write("a", "history")
        const shown: Array<string> = []
        yield* reading(shown)
        for (const name of ["a1", "a2", "a3"]) yield* write("a", name)
        yield* write("a", "other", "unwanted")
        yield* write("new", "n1")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(
          shown.filter((name) => name.startsWith("a")),
          ["a1", "a2", "a3"]
        )
        assert.deepStrictEqual([...shown].sort(), ["a1", "a2", "a3", "n1"])
        const cursors = yield* ReaderStore.use((store) => store.cursors("test", null, 10))
        assert.deepStrictEqual(cursors, [
          { chain: agentChain(AgentId.make("a")), seq: 5 },
          { chain: agentChain(AgentId.make("new")), seq: 1 }
        ])
      }).pipe(Effect.provide(world))
  )

  it.effect("goes on where it was when nobody lived, and shows nothing twice after a clean end (B-20)", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const first = yield* reading(shown)
      yield* write("a", "1")
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      yield* write("a", "2")
      yield* write("b", "3")
      yield* TestClock.adjust("3 hours")
      assert.deepStrictEqual(shown, ["1"])
      yield* reading(shown)
      assert.deepStrictEqual([...shown].sort(), ["1", "2", "3"])
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "shows only what concerns, or only the latest of each agent, and its cursor passes over the rest (B-20)",
    () =>
      Effect.gen(function* () {
        const shown: Array<string> = []
        const options = {
          kinds: wanted,
          concerns: ({ agent }: ChainRow) => agent !== "quiet",
          show: "latest",
          handle: (row: ChainRow) => Effect.sync(() => shown.push(nameOf(row)))
        } as const
        const first = yield* Effect.forkChild(LogReader.drain({ reader: "latest", ...options }))
        yield* TestClock.adjust("1 second")
        const log = (agentId: string, name: string, kind = "wanted") =>
          Audit.use((audit) => audit.log({ kind, agentId, sessionId: "s", metadata: { name } }))
        for (const name of ["1", "2", "3"])
          for (const agent of ["a", "quiet", "b"]) yield* log(agent, `${agent}${name}`)
        yield* log("b", "b4", "unwanted")
        yield* write("quiet", "q")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([...shown].sort(), ["a3", "b3"])
        yield* log("a", "a4")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(shown.slice(2), ["a4"])
        const cursors = yield* ReaderStore.use((store) => store.cursors("latest", null, 10))
        assert.deepStrictEqual(
          cursors.map(({ seq }) => seq),
          [1, 11]
        )
        yield* Fiber.interrupt(first)
      }).pipe(Effect.provide(world))
  )

  it.effect("one of two reads at a time; the other takes over when it ends, and nothing is lost (B-20)", () =>
    Effect.gen(function* () {
      const [one, two]: [Array<string>, Array<string>] = [[], []]
      const first = yield* reading(one)
      yield* reading(two)
      for (let i = 0; i < 20; i++) yield* write(`agent-${i % 3}`, `x${i}`)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([one.length, two.length], [20, 0])
      yield* Fiber.interrupt(first)
      for (let i = 0; i < 20; i++) yield* write(`agent-${i % 3}`, `y${i}`)
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual([one.length, two.length], [20, 20])
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "a holder that stopped without a word is replaced within its lease, and can move no cursor then (B-20)",
    () =>
      Effect.gen(function* () {
        const store = yield* ReaderStore
        const dead = yield* store.lead("test", "dead", 15_000)
        assert.strictEqual(dead._tag, "Leading")
        const shown: Array<string> = []
        yield* reading(shown)
        yield* TestClock.adjust("20 seconds")
        yield* write("a", "1")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(shown, ["1"])
        assert.isFalse(yield* store.advance("test", 1, [{ chain: agentChain(AgentId.make("a")), seq: 99 }]))
      }).pipe(Effect.provide(world))
  )

  it.effect("a row that takes its time holds up its own chain alone (B-21)", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const done = yield* Deferred.make<void>()
      yield* reading(shown, (row) => (nameOf(row) === "slow" ? Deferred.await(done) : Effect.void))
      yield* write("a", "slow")
      yield* write("a", "behind")
      yield* write("b", "1")
      yield* TestClock.adjust("1 minute")
      yield* write("b", "2")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(shown, ["1", "2"])
      yield* Deferred.succeed(done, undefined)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(shown, ["1", "2", "slow", "behind"])
    }).pipe(Effect.provide(world))
  )

  it.effect("finds within ten minutes what a late commit hid from it (A-23, design 4)", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      yield* reading(shown)
      yield* write("a", "hidden")
      yield* TestClock.adjust("9 minutes")
      assert.deepStrictEqual(shown, [])
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(shown, ["hidden"])
    }).pipe(
      withLog(() => ({ movedSince: () => Effect.succeed([]) })),
      Effect.provide(world)
    )
  )

  it.effect("outlives a store that fails for a while, and says so now and then (B-21)", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const log = capture()
      let down = false
      const failing = <A>(self: Effect.Effect<A, StoreError>) =>
        Effect.suspend(() =>
          down ? Effect.fail(new StoreError({ store: "AuditStore", operation: "x", problem: "unreachable" })) : self
        )
      yield* Effect.gen(function* () {
        yield* reading(shown)
        yield* write("a", "1")
        yield* TestClock.adjust("1 second")
        down = true
        yield* write("a", "2")
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(shown, ["1"])
        assert.lengthOf(log.named("reader.waits"), 6)
        down = false
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(shown, ["1", "2"])
      }).pipe(
        withLog((log) => ({
          movedSince: (since) => failing(log.movedSince(since)),
          heads: (after, limit) => failing(log.heads(after, limit))
        })),
        Effect.provide(log.layer)
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("reads on behind a hole that pruning left, however wide (design 4)", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const first = yield* reading(shown)
      yield* Fiber.interrupt(first)
      for (let i = 1; i <= 2_500; i++) yield* write("a", `${i}`)
      const kept =
        (log: AuditStore["Service"]): AuditStore["Service"]["rows"] =>
        (chain, range) =>
          Stream.filter(log.rows(chain, range), ({ seq }) => seq > 2_498)
      yield* reading(shown).pipe(withLog((log) => ({ rows: kept(log) })))
      assert.deepStrictEqual(shown, ["2499", "2500"])
    }).pipe(Effect.provide(world))
  )

  it.effect("a backlog of thousands of rows in many chains comes through whole (B-20, B-21)", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const first = yield* reading(shown)
      yield* Fiber.interrupt(first)
      for (let i = 0; i < 6_000; i++)
        yield* write(`agent-${i % 2 === 0 ? 0 : i % 1_500}`, `${i}`, i % 10 === 0 ? "wanted" : "other")
      yield* reading(shown)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(
        shown.map(Number).sort((left, right) => left - right),
        Array.from({ length: 600 }, (_, i) => i * 10)
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("whatever is interrupted when, every row is shown, and only those under way are shown again (B-20)", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const fiber = yield* reading(shown)
      yield* Fiber.interrupt(fiber)
      let written = 0
      let interruptions = 0
      for (let round = 0; round < 40; round++) {
        const running = yield* reading(shown, () => Effect.sleep("300 millis"))
        for (let i = 0; i < 3; i++) yield* write(`agent-${i}`, `${written++}`)
        yield* TestClock.adjust(137 * (round % 9))
        yield* Fiber.interrupt(running)
        interruptions++
      }
      yield* reading(shown, () => Effect.sleep("300 millis"))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(new Set(shown).size, written)
      // At most one row a chain is under way when a reader is interrupted.
      assert.isAtMost(shown.length - written, 3 * interruptions)
    }).pipe(Effect.provide(world))
  )
})
