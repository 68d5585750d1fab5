import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Redacted, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Memory from "../../src/layers/Memory.ts"
import * as MemoryAuditStore from "../../src/layers/memory/AuditStore.ts"
import * as MemoryCheckpointStore from "../../src/layers/memory/CheckpointStore.ts"
import { checkpointText, leafHashOf, originOf, parseCheckpoint, signCheckpoint } from "../../src/schema/Checkpoint.ts"
import type { LogEntry } from "../../src/schema/CheckpointEntry.ts"
import { appendLeaves, emptyFrontier, rootOfFrontier } from "../../src/schema/Merkle.ts"
import { Audit, layerWith as layerAudit } from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { layerOf as layerOfKey, sha256 } from "../../src/services/CheckpointKey.ts"
import { CheckpointSinks, makeMemory } from "../../src/services/CheckpointSink.ts"
import { CheckpointStore } from "../../src/services/CheckpointStore.ts"
import { Checkpoints, layer as layerCheckpoints, layerOnDemand } from "../../src/services/Checkpoints.ts"
import * as RememberedCheckpoint from "../../src/services/RememberedCheckpoint.ts"
import * as Settings from "../../src/services/Settings.ts"
import { freshDatabase } from "../support/database.ts"
import { asOwner, examined, inProcess, key, make, processOn, retaken, rows } from "./World.ts"

const seed = "4f8d1e7a".repeat(8)
const inFresh = Effect.provide(freshDatabase, { local: true })
const log = (sessionId: string) =>
  Effect.flatMap(Audit, (audit) => audit.log({ kind: "step", agentId: "clerk", sessionId }))

describe("The fiber that makes checkpoints", () => {
  const running = (sink = makeMemory()) =>
    Memory.layer({ checkpointKey: seed, testMode: true }).pipe(Layer.provide(Layer.succeed(CheckpointSinks, [sink])))

  it.effect("makes one every 60 s while something happened, and hands it over (BEY-04)", () => {
    const sink = makeMemory()
    return Effect.gen(function* () {
      const { latest } = yield* Checkpoints
      yield* TestClock.adjust("1 millis")
      yield* log("s1")
      yield* TestClock.adjust("59 seconds")
      assert.isNull(yield* latest)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* latest)?.size, 1)
      assert.strictEqual(sink.entries.length, 1)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* latest)?.size, 1)
      yield* Effect.andThen(log("s1"), log("s2"))
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual((yield* latest)?.size, 3)
      assert.strictEqual(sink.entries.length, 2)
      assert.strictEqual((yield* examined).verdict, "ok")
    }).pipe(Effect.provide(running(sink)))
  })

  it.effect("makes one after 1000 events, and never two within a second (BEY-04)", () =>
    Effect.gen(function* () {
      const { latest } = yield* Checkpoints
      yield* TestClock.adjust("1 millis")
      for (let event = 0; event < 1_000; event++) yield* log("busy")
      yield* TestClock.adjust("998 millis")
      assert.isNull(yield* latest)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* latest)?.size, 1)
    }).pipe(Effect.provide(running()))
  )

  it.effect("makes a last one at the end, so that a short program is covered to its last row (BEY-04)", () =>
    Effect.gen(function* () {
      const sink = makeMemory()
      yield* Effect.provide(
        Effect.gen(function* () {
          yield* log("s1")
          yield* TestClock.adjust("61 seconds")
          yield* log("s1")
        }),
        running(sink),
        { local: true }
      )
      const leaves = sink.entries.map((entry) => (entry._tag === "Checkpoint" ? entry.leaves : []))
      assert.deepStrictEqual(
        leaves.map((each) => each.map(({ chain, seq }) => [chain, seq])),
        [[["session:s1", 1]], [["session:s1", 2]]]
      )
      const idle = makeMemory()
      yield* Effect.provide(Effect.andThen(log("s1"), TestClock.adjust("61 seconds")), running(idle), { local: true })
      assert.strictEqual(idle.entries.length, 1)
    })
  )

  it.effect("ends 2 s after it was told to where the database does not answer any more (H-12)", () =>
    Effect.gen(function* () {
      const silent = Layer.effect(
        CheckpointStore,
        Effect.map(CheckpointStore, (store) => CheckpointStore.of({ ...store, latest: Effect.never }))
      ).pipe(Layer.provide(Layer.provide(MemoryCheckpointStore.layer, MemoryAuditStore.layer)))
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(
        layerCheckpoints.pipe(
          Layer.provide(Settings.layer({ checkpointKey: seed })),
          Layer.provide([layerAudit(), silent, layerOfKey(key), Layer.succeed(CheckpointSinks, [])]),
          Layer.provide(Layer.succeed(RememberedCheckpoint.RememberedCheckpoint, RememberedCheckpoint.makeMemory())),
          Layer.provide(Layer.merge(MemoryAuditStore.layer, AuditFallback.layerMemory)),
          Layer.provide(ChainKeys.layerTest)
        ),
        scope
      )
      yield* TestClock.adjust("1 second")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(closing)))
    })
  )

  it.effect("is not there without a key, and asking for a checkpoint says what is missing", () =>
    Effect.gen(function* () {
      const checkpoints = yield* Checkpoints
      yield* log("s1")
      yield* TestClock.adjust("5 minutes")
      assert.isNull(yield* checkpoints.latest)
      assert.isNull(yield* checkpoints.key)
      const error = yield* Effect.flip(checkpoints.make)
      assert.deepInclude(error, { _tag: "ConfigurationError", setting: "GOVERNANCE_CHECKPOINT_KEY" })
    }).pipe(Effect.provide(Memory.layer({ testMode: true })))
  )

  it.effect("refuses a key that is none when the layer is built, without a word of it", () =>
    Effect.gen(function* () {
      for (const checkpointKey of ["secret-text", "file:///nowhere/key", "env://GOVERNANCE_NOT_SET", "ab".repeat(31)]) {
        const error = yield* Effect.flip(
          Layer.build(Memory.layer({ checkpointKey: Redacted.make(checkpointKey), testMode: true }))
        )
        assert.deepInclude(error, { _tag: "ConfigurationError", setting: "GOVERNANCE_CHECKPOINT_KEY" })
        assert.notInclude(error.message, "secret-text")
        assert.notInclude(error.message, "abab")
      }
      const often = yield* Effect.flip(
        Layer.build(Memory.layer({ checkpointInterval: Duration.millis(999), testMode: true }))
      )
      assert.deepInclude(often, { _tag: "ConfigurationError", setting: "checkpointInterval" })
    }).pipe(Effect.scoped)
  )
})

describe("A crash between", () => {
  it.live(
    "committing and signing is caught up with exactly that size, and its bytes are the same for everyone (A-32)",
    () =>
      Effect.gen(function* () {
        const { deploymentId, size, root } = yield* inProcess()(
          Effect.gen(function* () {
            const store = yield* CheckpointStore
            yield* rows("s", 3)
            const [moved] = yield* store.moved(10, null)
            const frontier = appendLeaves(emptyFrontier, [leafHashOf(moved!, sha256)], sha256)
            const root = rootOfFrontier(frontier, sha256)
            assert.isTrue(yield* store.commit({ previous: 0, leaves: [moved!] }))
            return { deploymentId: yield* store.deploymentId, size: 1, root }
          })
        )
        yield* inProcess()(rows("later", 1))
        const sink = makeMemory()
        yield* inProcess({ sinks: [sink] })(make)
        const notes = sink.entries.flatMap((entry) => (entry._tag === "Checkpoint" ? entry.notes : []))
        assert.strictEqual(notes.length, 2)
        const expected = signCheckpoint(
          { origin: originOf(deploymentId), size, root },
          { name: originOf(deploymentId), ...key },
          sha256
        )
        assert.strictEqual(notes[0], Result.getOrThrow(expected))
      }).pipe(inFresh)
  )

  it.live("signing and handing over is caught up by the next process, from the sink's own size on (BEY-04)", () =>
    Effect.gen(function* () {
      yield* inProcess()(Effect.andThen(rows("a", 1), make))
      yield* inProcess()(Effect.andThen(rows("b", 2), make))
      const sink = makeMemory()
      yield* inProcess({ sinks: [sink] })(Effect.andThen(rows("c", 1), make))
      assert.strictEqual(sink.entries.length, 3)
      yield* inProcess({ sinks: [sink] })(make)
      assert.strictEqual(sink.entries.length, 3)
      assert.strictEqual((yield* inProcess({ sinks: [sink] })(examined)).verdict, "ok")
    }).pipe(inFresh)
  )

  it.live(
    "is not made worse by a leaf that somebody slipped in unsigned: it is looked at before it is signed (A-32)",
    () =>
      Effect.gen(function* () {
        const refused = yield* inProcess()(
          Effect.gen(function* () {
            const store = yield* CheckpointStore
            yield* rows("s", 3)
            const lie = { previous: 0, leaves: [{ chain: "session:s", seq: 2, hash: new Uint8Array(32) }] }
            assert.strictEqual((yield* Effect.flip(store.commit(lie))).problem, "integrity")
            assert.strictEqual((yield* Effect.flip(store.retake(lie))).problem, "refused")
            yield* asOwner(retaken(0, "session:s", 2, `'\\x${"00".repeat(32)}'`))
            return yield* Effect.flip(make)
          })
        )
        assert.strictEqual(refused._tag, "CheckpointContradicted")
        assert.deepStrictEqual(
          (yield* inProcess()(Effect.flatMap(CheckpointStore, (store) => store.latest)))?.notes,
          []
        )
      }).pipe(inFresh)
  )
})

describe("Who is interrupted in the middle of a round", () => {
  const onMemory = Layer.mergeAll(MemoryCheckpointStore.layer).pipe(Layer.provideMerge(MemoryAuditStore.layer))
  for (const place of ["commit", "note", "append"] as const) {
    it.effect(`at ${place} finishes it first: signed and handed over, or waits 2 s for it (BEY-04)`, () =>
      Effect.gen(function* () {
        const store = yield* CheckpointStore
        const kept = makeMemory()
        const memory = RememberedCheckpoint.makeMemory()
        yield* rows("s", 2)
        const begin = Effect.fnUntraced(function* (go: Effect.Effect<void>) {
          const reached = yield* Deferred.make<void>()
          const stop = Effect.andThen(Deferred.succeed(reached, undefined), go)
          const at = <A, E>(here: typeof place, self: Effect.Effect<A, E>) =>
            here === place ? Effect.andThen(stop, self) : self
          const slow = CheckpointStore.of({
            ...store,
            commit: (given) => at("commit", store.commit(given)),
            note: (size, note) => at("note", store.note(size, note))
          })
          const sink = { ...kept, append: (more: ReadonlyArray<LogEntry>) => at("append", kept.append(more)) }
          const process = layerOnDemand.pipe(
            Layer.provide([
              Layer.succeed(CheckpointStore, slow),
              layerOfKey(key),
              Layer.succeed(CheckpointSinks, [sink])
            ]),
            Layer.provide(Layer.succeed(RememberedCheckpoint.RememberedCheckpoint, memory)),
            Layer.fresh
          )
          const running = yield* Effect.forkChild(Effect.provide(make, process, { local: true }))
          yield* Deferred.await(reached)
          const ending = yield* Effect.forkChild(Fiber.interrupt(running), { startImmediately: true })
          return { ending, report: Effect.provide(examined, process, { local: true }) }
        })

        const hanging = yield* begin(Effect.never)
        yield* TestClock.adjust("1999 millis")
        assert.isUndefined(hanging.ending.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.await(hanging.ending)
        assert.strictEqual(kept.entries.length, 0)
        // Nobody has deleted what was never there.
        const early = yield* hanging.report
        assert.strictEqual(early.verdict, place === "append" ? "ok" : "noCheckpoints")
        assert.deepStrictEqual(early.waiting, ["memory"])

        const gate = yield* Deferred.make<void>()
        if (place === "note") yield* rows("s", 1)
        const slow = yield* begin(Deferred.await(gate))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.await(slow.ending)
        assert.strictEqual(kept.entries.length, place === "note" ? 2 : 1)
        const report = yield* slow.report
        assert.deepStrictEqual([report.verdict, report.waiting], ["ok", []], JSON.stringify(report))
        // What is known to have been there and is gone was taken away.
        kept.entries.length = 0
        assert.strictEqual((yield* slow.report).verdict, "unverifiable")
      }).pipe(Effect.provide(onMemory), Effect.provide(ChainKeys.layerTest))
    )
  }
})

describe("Many processes at once", () => {
  it.live(
    "sign no two different notes for one size, and leave one log, in 40 rounds of 6 with writers beside them (A-32)",
    () =>
      Effect.gen(function* () {
        const sinks = [makeMemory("one"), makeMemory("two")]
        const processes = yield* Effect.forEach(Array.from({ length: 6 }), () => Layer.build(processOn({ sinks })))
        const notes = new Map<number, Set<string>>()
        const writing = yield* Effect.forkChild(
          Effect.forever(
            Effect.provide(
              Effect.andThen(
                Effect.suspend(() => rows(`s${Math.floor(notes.size % 7)}`, 2)),
                Effect.sleep(1)
              ),
              processes[0]!
            )
          )
        )
        for (let round = 0; round < 40; round++) {
          yield* Effect.forEach(processes, (process) => Effect.provide(make, process), { concurrency: "unbounded" })
          const latest = yield* Effect.provide(
            Effect.flatMap(Checkpoints, (checkpoints) => checkpoints.latest),
            processes[round % 6]!
          )
          if (latest !== null) notes.set(latest.size, new Set(latest.notes))
        }
        yield* Fiber.interrupt(writing)
        const all = yield* Effect.provide(
          Effect.flatMap(CheckpointStore, (store) => store.checkpoints(0, 100_000)),
          processes[1]!
        )
        assert.isAbove(all.length, 20)
        assert.deepStrictEqual(
          all.filter((one) => one.notes.length > 1),
          []
        )
        for (const sink of sinks) {
          const bySize = new Map<number, Set<string>>()
          for (const entry of sink.entries) {
            if (entry._tag !== "Checkpoint") continue
            const { body } = Result.getOrThrow(parseCheckpoint(entry.notes[0]!))
            bySize.set(body.size, (bySize.get(body.size) ?? new Set()).add(checkpointText(body)))
          }
          assert.isTrue([...bySize.values()].every((texts) => texts.size === 1))
        }
        const report = yield* Effect.provide(examined, processes[2]!)
        assert.strictEqual(report.verdict, "ok", JSON.stringify(report.findings))
      }).pipe(Effect.scoped, inFresh),
    60_000
  )
})
