/** The contract of `CheckpointSink` (BEY-04, A-31): what is handed over stays, in order, whoever writes beside it. */
import { assert, layer as layerTest } from "@effect/vitest"
import { Context, Effect, type Layer, Stream } from "effect"
import type { LogEntry } from "../schema/CheckpointEntry.ts"
import type { CheckpointSink } from "../services/CheckpointSink.ts"

/** Opens sinks under test: the same name is the same place, as two processes would open it. */
export class SinkUnderTest extends Context.Service<
  SinkUnderTest,
  { readonly open: (name: string) => Effect.Effect<CheckpointSink> }
>()("effect-governance/testing/SinkUnderTest") {}

export const entryAt = (previous: number, count = 1): LogEntry => ({
  _tag: "Checkpoint",
  previous,
  notes: [`origin\n${previous + count}\n`],
  leaves: Array.from({ length: count }, (_, at) => ({
    chain: `session:"\u2028${previous}`,
    seq: at + 1,
    hash: new Uint8Array(32).fill(previous + at)
  }))
})

const collected = (sink: CheckpointSink) => Effect.map(Stream.runCollect(sink.read), (entries) => [...entries])

export const suite = <E>(name: string, sinks: Layer.Layer<SinkUnderTest, E>) =>
  layerTest(sinks, { timeout: "60 seconds" })(`CheckpointSink (${name})`, (it) => {
    it.effect("that nobody wrote to is not there, and reading it gives nothing", () =>
      Effect.gen(function* () {
        const sink = yield* (yield* SinkUnderTest).open("empty")
        assert.isNull(yield* sink.head)
        assert.deepStrictEqual(yield* collected(sink), [])
      })
    )

    it.effect("gives back what it was given, in order, and knows how far it is", () =>
      Effect.gen(function* () {
        const { open } = yield* SinkUnderTest
        const sink = yield* open("order")
        const entries: ReadonlyArray<LogEntry> = [
          entryAt(0),
          entryAt(1, 3),
          { _tag: "Adoption", note: "adopted\n" },
          entryAt(4)
        ]
        yield* sink.append(entries.slice(0, 2))
        assert.deepInclude(yield* sink.head, { size: 4, note: "origin\n4\n", damaged: false })
        yield* sink.append(entries.slice(2))
        assert.deepStrictEqual(yield* sink.head, {
          size: 5,
          note: "origin\n5\n",
          adoptions: ["adopted\n"],
          damaged: false
        })
        assert.deepStrictEqual(yield* collected(yield* open("order")), entries)
      })
    )

    it.effect("takes what two writers hand over at once, the same twice included, without losing any", () =>
      Effect.gen(function* () {
        const { open } = yield* SinkUnderTest
        const writers = yield* Effect.forEach([1, 2, 3], () => open("race"))
        for (let size = 0; size < 20; size++) {
          yield* Effect.forEach(writers, (writer) => writer.append([entryAt(size)]), { concurrency: "unbounded" })
          const heads = yield* Effect.forEach(writers, (writer) => writer.head)
          assert.deepStrictEqual(
            heads.map((head) => head?.size),
            [size + 1, size + 1, size + 1]
          )
        }
        const read = yield* collected(writers[0]!)
        assert.isFalse(read.some((entry) => entry._tag !== "Checkpoint"))
        assert.strictEqual(new Set(read.map((entry) => JSON.stringify(entry))).size, 20)
      })
    )
  })
