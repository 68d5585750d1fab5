/** The contract of `CheckpointSink` (BEY-04, A-31): what is handed over stays, in order, whoever writes beside it. */
import { assert, layer as layerTest } from "@effect/vitest"
import { Context, Effect, type Layer, Result, Stream } from "effect"
import { leafHashOf, originOf, signCheckpoint } from "../schema/Checkpoint.ts"
import type { LogEntry } from "../schema/CheckpointEntry.ts"
import { rootOf } from "../schema/Merkle.ts"
import { type SigningKey, sha256, signingKeyOf } from "../services/CheckpointKey.ts"
import { type CheckpointSink, isWitness } from "../services/CheckpointSink.ts"

/** Opens sinks under test: the same name is the same place, as two processes would open it, for the log of that deployment. */
export class SinkUnderTest extends Context.Service<
  SinkUnderTest,
  { readonly open: (name: string) => Effect.Effect<CheckpointSink> }
>()("effect-governance/testing/SinkUnderTest") {}

/** The key that signs the entries of this suite. */
export const suiteKey: SigningKey = Result.getOrThrow(signingKeyOf("17".repeat(32), "suite"))

const leafAt = (index: number) => ({
  chain: `session:"\u2028${index}`,
  seq: index + 1,
  hash: new Uint8Array(32).fill(index)
})

/** A checkpoint of leaves `previous` to `previous + count`, as the log of that deployment has it. */
export const entryOf = (deployment: string, previous: number, count = 1): LogEntry => {
  const size = previous + count
  const leaves = Array.from({ length: size }, (_, index) => leafAt(index))
  const root = rootOf(
    leaves.map((leaf) => leafHashOf(leaf, sha256)),
    sha256
  )
  const key = { name: originOf(deployment), ...suiteKey }
  const note = Result.getOrThrow(signCheckpoint({ origin: key.name, size, root }, key, sha256))
  return { _tag: "Checkpoint", previous, notes: [note], leaves: leaves.slice(previous) }
}

const noteOf = (entry: LogEntry) => (entry._tag === "Checkpoint" ? (entry.notes[0] ?? null) : null)

/** Null for a witness, which gives nothing back. */
const collected = (sink: CheckpointSink) =>
  isWitness(sink) ? Effect.succeed(null) : Effect.map(Stream.runCollect(sink.read), (entries) => [...entries])

export const suite = <E>(name: string, sinks: Layer.Layer<SinkUnderTest, E>) =>
  layerTest(sinks, { excludeTestServices: true, timeout: "60 seconds" })(`CheckpointSink (${name})`, (it) => {
    it.effect("that nobody wrote to is not there, and reading it gives nothing", () =>
      Effect.gen(function* () {
        const sink = yield* (yield* SinkUnderTest).open("empty")
        assert.isNull(yield* sink.head)
        assert.deepStrictEqual((yield* collected(sink)) ?? [], [])
      })
    )

    it.effect("gives back what it was given, in order, and knows how far it is", () =>
      Effect.gen(function* () {
        const { open } = yield* SinkUnderTest
        const sink = yield* open("order")
        const entry = (previous: number, count?: number) => entryOf("order", previous, count)
        const adoption: LogEntry = { _tag: "Adoption", note: "adopted\n" }
        const entries = [entry(0), entry(1, 3), adoption, entry(4)]
        yield* sink.append(entries.slice(0, 2))
        assert.deepInclude(yield* sink.head, { size: 4, note: noteOf(entry(1, 3)), damaged: false })
        yield* sink.append(entries.slice(2))
        assert.deepStrictEqual(yield* sink.head, {
          size: 5,
          note: noteOf(entry(4)),
          adoptions: isWitness(sink) ? [] : ["adopted\n"],
          damaged: false
        })
        const again = yield* open("order")
        assert.deepInclude(yield* again.head, { size: 5 })
        assert.deepStrictEqual((yield* collected(again)) ?? entries, entries)
      })
    )

    it.effect("takes what two writers hand over at once, the same twice included, without losing any", () =>
      Effect.gen(function* () {
        const { open } = yield* SinkUnderTest
        const writers = yield* Effect.forEach([1, 2, 3], () => open("race"))
        for (let size = 0; size < 20; size++) {
          const next = entryOf("race", size)
          yield* Effect.forEach(writers, (writer) => writer.append([next]), { concurrency: "unbounded" })
          const heads = yield* Effect.forEach(writers, (writer) => writer.head)
          assert.deepStrictEqual(
            heads.map((head) => head?.size),
            [size + 1, size + 1, size + 1]
          )
        }
        const read = yield* collected(writers[0]!)
        if (read === null) return
        assert.isFalse(read.some((entry) => entry._tag !== "Checkpoint"))
        assert.strictEqual(new Set(read.map((entry) => JSON.stringify(entry))).size, 20)
      })
    )
  })
