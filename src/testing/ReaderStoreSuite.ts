/** The contract of `ReaderStore` (design 4 "Readers", BEY-10, B-20). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { AgentId, agentChain } from "../schema/Ids.ts"
import type { ChainPosition } from "../services/AuditStore.ts"
import { ReaderStore } from "../services/ReaderStore.ts"
import { type StoreClock, testClock } from "./StoreSet.ts"

const run = globalThis.crypto.randomUUID().slice(0, 8)
let made = 0
/** Suites may share one database, so nothing in it is named twice. */
const newReader = () => `reader-${run}-${++made}`

const at = (agent: string, seq: number): ChainPosition => ({ chain: agentChain(AgentId.make(agent)), seq })
const following = { _tag: "Following" } as const

/** Registers the tests. */
export const suite = <E>(name: string, store: Layer.Layer<ReaderStore, E>, clock: StoreClock = testClock) =>
  layerTest(store, { excludeTestServices: clock.clock === "database", timeout: "60 seconds" })(
    `ReaderStore (${name})`,
    (it) => {
      it.effect("lets one of many holders lead, and keeps its epoch while it renews (B-20)", () =>
        Effect.gen(function* () {
          const store = yield* ReaderStore
          const reader = newReader()
          const holders = ["a", "b", "c", "d"]
          const first = yield* Effect.forEach(holders, (holder) => store.lead(reader, holder, 60_000), {
            concurrency: "unbounded"
          })
          assert.strictEqual(first.filter(({ _tag }) => _tag === "Leading").length, 1)
          const leader = first.findIndex(({ _tag }) => _tag === "Leading")
          assert.deepStrictEqual(first[leader], { _tag: "Leading", epoch: 1, begun: false })
          assert.deepStrictEqual(yield* store.lead(reader, holders[leader]!, 60_000), first[leader])
          assert.deepStrictEqual(yield* store.lead(reader, holders[(leader + 1) % 4]!, 60_000), following)
        })
      )

      it.effect("hands over when a lease has ended, and refuses what the one before still writes (B-20)", () =>
        Effect.gen(function* () {
          const store = yield* ReaderStore
          const reader = newReader()
          assert.deepStrictEqual(yield* store.lead(reader, "a", 300), { _tag: "Leading", epoch: 1, begun: false })
          yield* clock.advance(400)
          assert.deepStrictEqual(yield* store.lead(reader, "b", 60_000), { _tag: "Leading", epoch: 2, begun: false })
          assert.isFalse(yield* store.advance(reader, 1, [at("x", 5)], true))
          assert.deepStrictEqual(yield* store.cursors(reader, null, 10), [])
          assert.deepStrictEqual(yield* store.lead(reader, "a", 60_000), following)
          yield* store.resign(reader, 1)
          assert.deepStrictEqual(yield* store.lead(reader, "a", 60_000), following)
          assert.deepStrictEqual(yield* store.lead(reader, "b", 60_000), { _tag: "Leading", epoch: 2, begun: false })
        })
      )

      it.effect("hands over at once to another when the holder resigns (B-20)", () =>
        Effect.gen(function* () {
          const store = yield* ReaderStore
          const reader = newReader()
          yield* store.lead(reader, "a", 60_000)
          yield* store.resign(reader, 1)
          assert.deepStrictEqual(yield* store.lead(reader, "b", 60_000), { _tag: "Leading", epoch: 2, begun: false })
        })
      )

      it.effect("moves cursors forward and never back, and remembers that the reader has begun (design 4)", () =>
        Effect.gen(function* () {
          const store = yield* ReaderStore
          const [reader, other] = [newReader(), newReader()]
          yield* store.lead(reader, "a", 60_000)
          yield* store.lead(other, "a", 60_000)
          assert.isTrue(yield* store.advance(reader, 1, [at("x", 5), at("y", 0)]))
          assert.isTrue(yield* store.advance(reader, 1, [at("y", 7), at("x", 3)], true))
          assert.isTrue(yield* store.advance(reader, 1, []))
          assert.deepStrictEqual(yield* store.cursors(reader, null, 10), [at("x", 5), at("y", 7)])
          assert.deepStrictEqual(yield* store.cursors(other, null, 10), [])
          assert.deepStrictEqual(yield* store.lead(reader, "a", 60_000), { _tag: "Leading", epoch: 1, begun: true })
          assert.deepStrictEqual(yield* store.lead(other, "a", 60_000), { _tag: "Leading", epoch: 1, begun: false })
        })
      )

      it.effect("gives its cursors page by page in the order of the chains (design 4)", () =>
        Effect.gen(function* () {
          const store = yield* ReaderStore
          const reader = newReader()
          yield* store.lead(reader, "a", 60_000)
          const positions = ["c", "B", "a", "ä", "a b", "a-b"].map((agent, i) => at(agent, i + 1))
          yield* store.advance(reader, 1, positions)
          const found: Array<ChainPosition> = []
          for (;;) {
            const page: ReadonlyArray<ChainPosition> = yield* store.cursors(reader, found.at(-1)?.chain ?? null, 2)
            found.push(...page)
            if (page.length < 2) break
          }
          const byChain = (left: ChainPosition, right: ChainPosition) => (left.chain < right.chain ? -1 : 1)
          assert.deepStrictEqual(found, [...positions].sort(byChain))
        })
      )

      it.effect("a reader that nobody leads has no cursors and takes none (B-20)", () =>
        Effect.gen(function* () {
          const store = yield* ReaderStore
          const reader = newReader()
          assert.deepStrictEqual(yield* store.cursors(reader, null, 10), [])
          assert.isFalse(yield* store.advance(reader, 1, [at("x", 1)]))
          yield* store.resign(reader, 1)
        })
      )
    }
  )
