/** The contract of `WitnessStore` (BEY-04, P-04, P-09, A-32). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { type Witnessed, WitnessStore } from "../services/WitnessStore.ts"
import type { WorkspaceStore } from "../services/WorkspaceStore.ts"
import { newWorkflow, newWorkspace } from "./WorkspaceStoreSuite.ts"

const at = (size: number, root: string, frontier: ReadonlyArray<string> | null = null): Witnessed => ({
  origin: "effect-governance/one",
  verifierKey: "key",
  size,
  root: root.repeat(64),
  frontier,
  note: `note ${size}`,
  seenMs: size
})
const origin = "effect-governance/one"

/** Registers the tests. */
export const suite = <E>(name: string, stores: Layer.Layer<WitnessStore | WorkspaceStore, E>) =>
  layerTest(stores, { excludeTestServices: true, timeout: "60 seconds" })(`WitnessStore (${name})`, (it) => {
    it.effect("moves from what was found, and from nothing else (A-32, P-04)", () =>
      Effect.gen(function* () {
        const store = yield* WitnessStore
        const { token: _, ...place } = yield* newWorkflow
        assert.isNull(yield* store.find(place, origin))
        assert.isFalse(yield* store.advance(place, at(1, "a"), at(2, "b"), []))
        const peaks = ["c".repeat(64), "d".repeat(64)]
        assert.isTrue(
          yield* store.advance(place, null, at(3, "a", peaks), [{ chain: "agent:x", seq: 1, hash: "a".repeat(64) }])
        )
        assert.deepStrictEqual(yield* store.find(place, origin), at(3, "a", peaks))
        assert.isFalse(yield* store.advance(place, null, at(4, "b"), []))
        assert.isFalse(
          yield* store.advance(place, at(3, "b"), at(4, "b"), [{ chain: "agent:x", seq: 9, hash: "b".repeat(64) }])
        )
        const next = [
          { chain: "agent:x", seq: 2, hash: "e".repeat(64) },
          { chain: "agent:y", seq: 1, hash: "f".repeat(64) }
        ]
        assert.isTrue(yield* store.advance(place, at(3, "a"), at(5, "b"), next))
        assert.deepStrictEqual(yield* store.list(place), [at(5, "b")])
        const known = yield* store.chains(place, origin, ["agent:y", "agent:x", "agent:z"])
        assert.deepStrictEqual(
          [...known].sort((left, right) => (left.chain < right.chain ? -1 : 1)),
          next
        )
      })
    )

    it.effect("lets one of many move it (A-32)", () =>
      Effect.gen(function* () {
        const store = yield* WitnessStore
        const { token: _, ...place } = yield* newWorkflow
        yield* store.advance(place, null, at(1, "a"), [])
        const moved = yield* Effect.forEach(
          ["1", "2", "3", "4", "5", "6"],
          (root) => store.advance(place, at(1, "a"), at(2, root), []),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(moved.filter(Boolean).length, 1)
      })
    )

    it.effect(
      "puts one log in the place of another, forgets its chains and keeps why, or does nothing of it (A-06)",
      () =>
        Effect.gen(function* () {
          const store = yield* WitnessStore
          const { token: _, ...place } = yield* newWorkflow
          const adoption = {
            adoption: "one",
            origin,
            statement: "s",
            keptNote: "note 5",
            fromSize: 5,
            size: 2,
            by: "ada",
            reason: "backup",
            at: "2026-01-01T00:00:00.000Z",
            seenMs: 7
          }
          const peaks = ["c".repeat(64)]
          yield* store.advance(place, null, at(5, "a"), [{ chain: "agent:x", seq: 9, hash: "a".repeat(64) }])
          assert.isFalse(yield* store.adopt(place, at(5, "b"), at(2, "c", peaks), adoption))
          assert.deepStrictEqual(yield* store.adoptions(place, 10), [])
          assert.lengthOf(yield* store.chains(place, origin, ["agent:x"]), 1)
          assert.isTrue(yield* store.adopt(place, at(5, "a"), { ...at(2, "c", peaks), seenMs: 7 }, adoption))
          assert.deepStrictEqual(yield* store.find(place, origin), { ...at(2, "c", peaks), seenMs: 7 })
          assert.deepStrictEqual(yield* store.chains(place, origin, ["agent:x"]), [])
          assert.deepStrictEqual(yield* store.adoptions(place, 10), [adoption])
          assert.isFalse(yield* store.adopt(place, at(5, "a"), at(2, "c"), { ...adoption, adoption: "two" }))
          const foreign = { workspace: yield* newWorkspace, workflow: place.workflow }
          assert.deepStrictEqual(yield* store.adoptions(foreign, 10), [])
          assert.isFalse(yield* store.adopt(foreign, at(2, "c"), at(1, "d"), adoption))
        })
    )

    it.effect("keeps each alarm once, and shows a workflow only its own (P-04, P-09)", () =>
      Effect.gen(function* () {
        const store = yield* WitnessStore
        const { token: _, ...place } = yield* newWorkflow
        const alarm = { alarm: "one", origin, problem: "forked", note: "n", keptNote: null, seenMs: 1 }
        yield* store.raise(place, alarm)
        yield* store.raise(place, { ...alarm, seenMs: 5 })
        yield* store.raise(place, { ...alarm, alarm: "two", keptNote: "k", seenMs: 2 })
        assert.deepStrictEqual(yield* store.alarms(place, 10), [
          { ...alarm, alarm: "two", keptNote: "k", seenMs: 2 },
          alarm
        ])
        yield* store.advance(place, null, at(1, "a"), [{ chain: "agent:x", seq: 1, hash: "a".repeat(64) }])
        const foreign = { workspace: yield* newWorkspace, workflow: place.workflow }
        assert.deepStrictEqual(yield* store.alarms(foreign, 10), [])
        assert.deepStrictEqual(yield* store.list(foreign), [])
        assert.deepStrictEqual(yield* store.chains(foreign, origin, ["agent:x"]), [])
        assert.isNull(yield* store.find(foreign, origin))
      })
    )
  })
