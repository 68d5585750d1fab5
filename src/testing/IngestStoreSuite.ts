/** The contract of `IngestStore` (PLT-03, PLT-11, P-01, P-02, P-09). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { type IngestRow, IngestStore, type TimelineQuery } from "../services/IngestStore.ts"
import type { WorkspaceStore } from "../services/WorkspaceStore.ts"
import { newWorkflow, newWorkspace } from "./WorkspaceStoreSuite.ts"

const uuid = () => globalThis.crypto.randomUUID()
const row = (seq: number, changes: Partial<IngestRow> = {}): IngestRow => ({
  event: uuid(),
  seq,
  eventType: "tool.call",
  agent: "clerk",
  session: null,
  createdAt: "2026-01-01T00:00:00.000Z",
  metadata: '{"a":"\\u0000"}',
  sdkVersion: "0.1.0",
  digest: "d".repeat(64),
  ...changes
})
const taken = (stored: number, duplicates: number, expected: number) => ({
  _tag: "Taken" as const,
  stored,
  duplicates,
  expected
})
const all: TimelineQuery = { before: null, after: null, agent: null, session: null, eventType: null, limit: 100 }

/** Registers the tests. */
export const suite = <E>(name: string, stores: Layer.Layer<IngestStore | WorkspaceStore, E>) =>
  layerTest(stores, { excludeTestServices: true, timeout: "60 seconds" })(`IngestStore (${name})`, (it) => {
    it.effect("stores events under the sender's next numbers and gives them places in a row (PLT-11)", () =>
      Effect.gen(function* () {
        const store = yield* IngestStore
        const { token: _, ...place } = yield* newWorkflow
        const events = [row(1, { session: "s" }), row(2), row(3)]
        assert.deepStrictEqual(yield* store.append(place, "a", events, 10), taken(3, 0, 4))
        assert.deepStrictEqual(yield* store.append(place, "b", [row(1)], 20), taken(1, 0, 2))
        const kept = yield* store.timeline(place, all)
        assert.deepStrictEqual(
          kept.map(({ instance, position, seq }) => [position, instance, seq]),
          [
            [4, "b", 1],
            [3, "a", 3],
            [2, "a", 2],
            [1, "a", 1]
          ]
        )
        const { digest: __, ...shown } = events[0]!
        assert.deepStrictEqual(kept[3], { ...shown, position: 1, instance: "a", receivedMs: 10 })
      })
    )

    it.effect("refuses another number than the next, says which that is, and stores nothing (PLT-03, P-01)", () =>
      Effect.gen(function* () {
        const store = yield* IngestStore
        const { token: _, ...place } = yield* newWorkflow
        const wrong = { _tag: "OutOfOrder" as const, expected: 1 }
        assert.deepStrictEqual(yield* store.append(place, "a", [row(7)], 1), { ...wrong, index: 0 })
        assert.deepStrictEqual(yield* store.append(place, "a", [row(1), row(2), row(2)], 1), { ...wrong, index: 2 })
        assert.deepStrictEqual(yield* store.timeline(place, all), [])
        assert.deepStrictEqual(yield* store.append(place, "a", [row(1), row(2)], 1), taken(2, 0, 3))
        assert.deepStrictEqual(
          (yield* store.timeline(place, all)).map(({ position }) => position),
          [2, 1]
        )
      })
    )

    it.effect("keeps an event once, whoever sends it again and under whatever number (P-01, P-07)", () =>
      Effect.gen(function* () {
        const store = yield* IngestStore
        const { token: _, ...place } = yield* newWorkflow
        const event = row(1)
        yield* store.append(place, "a", [event], 1)
        const again = [event, { ...event, seq: 2 }, row(3)]
        assert.deepStrictEqual(yield* store.append(place, "a", again, 2), taken(1, 2, 4))
        assert.deepStrictEqual(yield* store.append(place, "b", [{ ...event, seq: 9 }], 3), taken(0, 1, 1))
        const twice = row(4)
        assert.deepStrictEqual(yield* store.append(place, "a", [twice, twice], 4), taken(1, 1, 5))
        assert.lengthOf(yield* store.timeline(place, all), 3)
      })
    )

    it.effect("takes an event that many send at once exactly once (P-01)", () =>
      Effect.gen(function* () {
        const store = yield* IngestStore
        const { token: _, ...place } = yield* newWorkflow
        const event = row(1)
        const senders = Array.from({ length: 12 }, (_, i) => `sender-${i}`)
        const sent = yield* Effect.forEach(senders, (sender) => store.append(place, sender, [event], 1), {
          concurrency: "unbounded"
        })
        assert.strictEqual(sent.filter((verdict) => verdict._tag === "Taken" && verdict.stored === 1).length, 1)
        assert.deepStrictEqual(
          (yield* store.timeline(place, all)).map(({ position }) => position),
          [1]
        )
      })
    )

    it.effect("keeps both digests of an event id that came again with other content (P-02)", () =>
      Effect.gen(function* () {
        const store = yield* IngestStore
        const { token: _, ...place } = yield* newWorkflow
        const event = row(1)
        const other = { ...event, seq: 2, digest: "e".repeat(64) }
        yield* store.append(place, "a", [event], 1)
        const refused = { _tag: "Conflict" as const, index: 1, expected: 2 }
        assert.deepStrictEqual(yield* store.append(place, "a", [row(2), other], 2), refused)
        assert.deepStrictEqual(yield* store.append(place, "a", [row(2), other], 3), refused)
        assert.lengthOf(yield* store.timeline(place, all), 1)
        assert.deepStrictEqual(yield* store.conflicts(place, 10), [
          { event: event.event, keptDigest: "d".repeat(64), otherDigest: "e".repeat(64), seenMs: 2 }
        ])
      })
    )

    it.effect("pages and filters the timeline (PLT-05)", () =>
      Effect.gen(function* () {
        const store = yield* IngestStore
        const { token: _, ...place } = yield* newWorkflow
        const rows = Array.from({ length: 6 }, (_, i) =>
          row(i + 1, { agent: i % 2 === 0 ? "even" : "odd", session: i < 3 ? "early" : null, eventType: `t.${i}` })
        )
        yield* store.append(place, "a", rows, 1)
        const places = (query: Partial<TimelineQuery>) =>
          Effect.map(store.timeline(place, { ...all, ...query }), (found) => found.map(({ position }) => position))
        assert.deepStrictEqual(yield* places({ limit: 2 }), [6, 5])
        assert.deepStrictEqual(yield* places({ limit: 2, before: 5 }), [4, 3])
        assert.deepStrictEqual(yield* places({ limit: 2, after: 2 }), [4, 3])
        assert.deepStrictEqual(yield* places({ agent: "odd" }), [6, 4, 2])
        assert.deepStrictEqual(yield* places({ session: "early" }), [3, 2, 1])
        assert.deepStrictEqual(yield* places({ eventType: "t.3" }), [4])
        assert.deepStrictEqual(yield* places({ agent: "%' OR true --" }), [])
      })
    )

    it.effect("keeps and shows nothing under another workspace (P-09)", () =>
      Effect.gen(function* () {
        const store = yield* IngestStore
        const { token: _, ...place } = yield* newWorkflow
        const foreign = { workspace: yield* newWorkspace, workflow: place.workflow }
        yield* store.append(place, "a", [row(1)], 1)
        assert.deepStrictEqual(yield* store.append(foreign, "a", [row(2)], 1), { _tag: "NoWorkflow" })
        assert.deepStrictEqual(yield* store.timeline(foreign, all), [])
        assert.lengthOf(yield* store.timeline(place, all), 1)
      })
    )
  })
