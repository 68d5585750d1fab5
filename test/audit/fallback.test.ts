import { randomUUID } from "node:crypto"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import * as JsonlFallback from "../../src/layers/JsonlFallback.ts"
import type { AuditDraft } from "../../src/schema/Envelope.ts"
import { SessionId } from "../../src/schema/Ids.ts"
import { readSpool } from "../../src/schema/SpoolText.ts"
import * as Audit from "../../src/services/Audit.ts"
import type { FallbackBreak } from "../../src/services/AuditFallback.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { draftIn } from "../../src/testing/AuditChains.ts"
import { stores } from "./Rig.ts"

const root = mkdtempSync(join(tmpdir(), "fallback-test-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const newDirectory = () => join(root, randomUUID())
const session = SessionId.make("s")
const drafts = (n: number) => Array.from({ length: n }, (_, i) => draftIn(session, { metadataText: `{"i":${i}}` }))

const services = Layer.mergeAll(ChainKeys.layerTest, NodeServices.layer, SecureRandom.layerWebCrypto)
const open = (directory: string, options: JsonlFallback.JsonlFallbackOptions = {}) =>
  JsonlFallback.make({ directory, ...options })
const run = <A, E>(self: Effect.Effect<A, E, Scope.Scope | Layer.Success<typeof services>>): Effect.Effect<A, E> =>
  Effect.scoped(self).pipe(Effect.provide(services))

interface Taken {
  readonly drafts: Array<AuditDraft>
  readonly broken: Array<FallbackBreak>
}
const collect = () => {
  const taken: Taken = { drafts: [], broken: [] }
  return {
    taken,
    sink: {
      append: (draft: AuditDraft) => Effect.sync(() => void taken.drafts.push(draft)),
      broken: (found: FallbackBreak) => Effect.sync(() => void taken.broken.push(found))
    }
  }
}
/** A spool as a process leaves it that had time to close it. */
const leave = (directory: string, events: ReadonlyArray<AuditDraft>) =>
  run(Effect.flatMap(open(directory), (fallback) => Effect.forEach(events, fallback.spool)))
const replayed = (directory: string) =>
  run(
    Effect.gen(function* () {
      const { sink, taken } = collect()
      yield* Effect.flatMap(open(directory), (fallback) => fallback.replay(sink))
      return taken
    })
  )

describe("the spool on disk", () => {
  it.effect("gives back what an earlier process left, byte for byte and in order, once (JSL-01, AUD-16, V8-11)", () =>
    Effect.gen(function* () {
      const directory = newDirectory()
      const events = [...drafts(20), draftIn(session, { metadataText: '{"a":"\u2028 \\"","b":"ü😀"}', kind: 'k"\\' })]
      yield* leave(directory, events)
      const taken = yield* replayed(directory)
      assert.deepStrictEqual(taken, { drafts: events, broken: [] })
      assert.deepStrictEqual(readdirSync(directory), [])
      assert.deepStrictEqual(yield* replayed(directory), { drafts: [], broken: [] })
    })
  )

  it.effect("keeps its files to its own user (JSL-01)", () =>
    Effect.gen(function* () {
      const directory = newDirectory()
      yield* leave(directory, drafts(1))
      assert.strictEqual(statSync(directory).mode & 0o777, 0o700)
      for (const name of readdirSync(directory)) assert.strictEqual(statSync(join(directory, name)).mode & 0o777, 0o600)
    })
  )

  it.effect(
    "never replays a changed line as genuine, whichever bit of the file was flipped, and reports it (A-27)",
    () =>
      Effect.gen(function* () {
        const directory = newDirectory()
        const events = drafts(3)
        yield* leave(directory, events)
        const [name] = readdirSync(directory)
        const original = readFileSync(join(directory, name!))
        const { macFor } = yield* Effect.provide(ChainKeys.ChainKeys, ChainKeys.layerTest)
        let survivors = 0
        for (let bit = 0; bit < original.length * 8; bit++) {
          const copy = Buffer.from(original)
          copy[bit >> 3]! ^= 1 << (bit & 7)
          const found = readSpool(copy.toString("utf8"), macFor)
          if (found.problem === null) survivors++
          assert.deepStrictEqual(found.drafts, events.slice(0, found.drafts.length))
        }
        assert.strictEqual(survivors, 0)
        // And cut at every byte.
        for (let length = 0; length < original.length; length++) {
          const found = readSpool(original.subarray(0, length).toString("utf8"), macFor)
          assert.isNotNull(found.problem)
          assert.deepStrictEqual(found.drafts, events.slice(0, found.drafts.length))
        }
      })
  )

  it.effect(
    "hands over the genuine beginning of a broken file, reports the break once and keeps the evidence (A-27)",
    () =>
      Effect.gen(function* () {
        const directory = newDirectory()
        const events = drafts(5)
        yield* leave(directory, events)
        const file = join(directory, readdirSync(directory)[0]!)
        writeFileSync(file, readFileSync(file, "utf8").replace('{\\"i\\":3}', '{\\"i\\":9}'))
        const taken = yield* replayed(directory)
        assert.deepStrictEqual(taken.drafts, events.slice(0, 3))
        assert.deepStrictEqual(
          taken.broken.map(({ problem, afterLine }) => [problem, afterLine]),
          [["edited", 3]]
        )
        assert.deepStrictEqual(yield* replayed(directory), { drafts: [], broken: [] })
        assert.isTrue(readdirSync(directory).every((name) => name.endsWith(".broken")))
      })
  )

  it.effect("does not believe a file that another key wrote (A-11, K-06)", () =>
    Effect.gen(function* () {
      const directory = newDirectory()
      yield* leave(directory, drafts(2))
      const taken = yield* Effect.gen(function* () {
        const { sink, taken } = collect()
        yield* Effect.flatMap(open(directory), (fallback) => fallback.replay(sink))
        return taken
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.mergeAll(ChainKeys.layerMemory, NodeServices.layer, SecureRandom.layerWebCrypto))
      )
      assert.deepStrictEqual(taken.drafts, [])
      assert.deepStrictEqual(
        taken.broken.map(({ problem }) => problem),
        ["unverifiable"]
      )
    })
  )

  it.effect("killed in the middle of a replay, repeats it and loses nothing (A-26)", () =>
    Effect.gen(function* () {
      const directory = newDirectory()
      const events = drafts(10)
      yield* leave(directory, events)
      const seen = new Set<string>()
      for (const diesAt of [0, 1, 5, 9]) {
        let count = 0
        const exit = yield* Effect.exit(
          run(
            Effect.flatMap(open(directory), (fallback) =>
              fallback.replay({
                append: (draft) =>
                  count++ === diesAt ? Effect.die("killed") : Effect.sync(() => void seen.add(draft.id)),
                broken: () => Effect.die("nothing is broken")
              })
            )
          )
        )
        assert.isTrue(Exit.isFailure(exit))
      }
      assert.deepStrictEqual((yield* replayed(directory)).drafts, events)
    })
  )

  it.effect("adopts the files of dead processes and leaves those of living ones alone (JSL-01, R-05)", () =>
    Effect.gen(function* () {
      const directory = newDirectory()
      yield* run(
        Effect.gen(function* () {
          const living = yield* open(directory)
          yield* Effect.forEach(drafts(2), living.spool)
          const other = collect()
          yield* Effect.flatMap(open(directory), (fallback) => fallback.replay(other.sink))
          assert.deepStrictEqual(other.taken, { drafts: [], broken: [] })
          const own = collect()
          yield* living.replay(own.sink)
          assert.strictEqual(own.taken.drafts.length, 2)
        })
      )
      // A process that was killed: its file has no footer, and its pid belongs to nobody.
      yield* leave(directory, drafts(3))
      const name = readdirSync(directory)[0]!
      const whole = readFileSync(join(directory, name), "utf8")
      rmSync(join(directory, name))
      const cut = whole.slice(0, whole.lastIndexOf("\n", whole.length - 2) + 1)
      writeFileSync(join(directory, `audit.${hostname()}.4194305.0123456789abcdef.0.jsonl`), cut)
      const taken = yield* replayed(directory)
      assert.strictEqual(taken.drafts.length, 3)
      assert.deepStrictEqual(
        taken.broken.map(({ problem }) => problem),
        ["truncated"]
      )
    })
  )

  it.effect("begins another file at the size limit, and takes to memory when all files are full (JSL-01, R-03)", () =>
    run(
      Effect.gen(function* () {
        const directory = newDirectory()
        const fallback = yield* open(directory, { maxFileBytes: 2_000, maxFiles: 2 })
        const events = drafts(40)
        for (const draft of events) assert.isTrue(yield* fallback.spool(draft))
        assert.strictEqual(readdirSync(directory).length, 2)
        for (const name of readdirSync(directory)) assert.isBelow(statSync(join(directory, name)).size, 3_000)
        assert.strictEqual((yield* fallback.stats).waiting, 40)
        const { sink, taken } = collect()
        const count = yield* fallback.replay(sink)
        assert.deepStrictEqual(count, { replayed: 40, broken: 0 })
        assert.deepStrictEqual(taken.drafts, events)
        assert.strictEqual((yield* fallback.stats).waiting, 0)
      })
    )
  )

  it.effect("goes on in memory where the disk refuses, with one warning a minute (JSL-01, R-04)", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make((entry) => void lines.push(entry.message))
    return run(
      Effect.gen(function* () {
        const file = newDirectory()
        writeFileSync(file, "no directory")
        const fallback = yield* open(join(file, "spool"))
        for (const draft of drafts(5)) assert.isTrue(yield* fallback.spool(draft))
        assert.strictEqual(lines.length, 1)
        yield* TestClock.adjust("61 seconds")
        assert.isTrue(yield* fallback.spool(drafts(1)[0]!))
        assert.strictEqual(lines.length, 2)
        const { sink, taken } = collect()
        yield* fallback.replay(sink)
        assert.strictEqual(taken.drafts.length, 6)
      })
    ).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("does not trust a directory that others may write to (SEC-02)", () =>
    run(
      Effect.gen(function* () {
        const directory = newDirectory()
        yield* leave(directory, [])
        const fallback = yield* open(directory)
        yield* fallback.spool(drafts(1)[0]!)
        yield* fallback.replay(collect().sink)
        chmodSync(directory, 0o777)
        yield* fallback.spool(drafts(1)[0]!)
        assert.deepStrictEqual(readdirSync(directory), [])
        assert.strictEqual((yield* fallback.stats).waiting, 1)
      })
    )
  )

  it.effect(
    "a start replays what was left, and a break becomes an event in the chain of the operator (A-27, AUD-16)",
    () =>
      Effect.gen(function* () {
        const directory = newDirectory()
        yield* leave(directory, drafts(4))
        const file = join(directory, readdirSync(directory)[0]!)
        writeFileSync(file, readFileSync(file, "utf8").replace('{\\"i\\":2}', '{\\"i\\":7}'))
        yield* Effect.gen(function* () {
          const audit = yield* Audit.Audit
          while ((yield* audit.getEvents({ kinds: ["audit.fallback_broken"] })).length === 0)
            yield* Effect.promise(() => new Promise(setImmediate))
          const [broken] = yield* audit.getEvents({ kinds: ["audit.fallback_broken"] })
          assert.strictEqual(broken?.chain, "operator")
          assert.include(JSON.stringify(broken?.metadata), '"problem":"edited"')
          assert.strictEqual((yield* audit.getEvents({ sessionId: session })).length, 2)
          assert.isTrue(yield* audit.verifyChain())
        }).pipe(
          Effect.provide(
            Audit.layerWith().pipe(
              Layer.provide(JsonlFallback.layerWith({ directory })),
              Layer.provide(NodeServices.layer),
              Layer.provideMerge(stores)
            )
          )
        )
      })
  )
})
