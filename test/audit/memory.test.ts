import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as MemoryAuditStore from "../../src/layers/memory/AuditStore.ts"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import { SessionId, sessionChain } from "../../src/schema/Ids.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { draftIn } from "../../src/testing/AuditChains.ts"
import * as AuditStoreSuite from "../../src/testing/AuditStoreSuite.ts"

AuditStoreSuite.suite(
  "memory",
  Layer.mergeAll(MemoryAuditStore.layer, StoreTransaction.layer).pipe(Layer.provideMerge(ChainKeys.layerTest))
)

const session = SessionId.make("s")
const withStore = (options: MemoryAuditStore.MemoryAuditOptions) =>
  Effect.provide(MemoryAuditStore.layerWith(options).pipe(Layer.provide(ChainKeys.layerTest)))
const fill = (events: number) =>
  Effect.flatMap(AuditStore, (store) =>
    Effect.forEach(
      Array.from({ length: events }, () => draftIn(session)),
      store.append
    )
  )

describe("the bounded memory log", () => {
  it.effect("refuses what does not fit and keeps what it has (MEM-01)", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryAuditStore.MemoryAudit
      yield* fill(3)
      const error = yield* Effect.flip(fill(1))
      assert.strictEqual(error.problem, "overload")
      assert.deepStrictEqual(yield* memory.stats, { size: 3, max: 3, evicted: 0 })
      yield* memory.verifyNotTruncated
    }).pipe(withStore({ maxEvents: 3 }))
  )

  it.effect("forgets the oldest rows only where eviction was chosen, and admits it (MEM-01, MEM-02)", () =>
    Effect.gen(function* () {
      const store = yield* AuditStore
      const memory = yield* MemoryAuditStore.MemoryAudit
      yield* fill(5)
      assert.deepStrictEqual(yield* memory.stats, { size: 3, max: 3, evicted: 2 })
      const rows = yield* Stream.runCollect(store.rows(sessionChain(session)))
      assert.deepStrictEqual(
        rows.map((row) => row.seq),
        [3, 4, 5]
      )
      const error = yield* Effect.flip(memory.verifyNotTruncated)
      assert.strictEqual(error.problem, "integrity")
    }).pipe(withStore({ maxEvents: 3, onFull: "evict" }))
  )

  it.effect("holds 100 000 events unless told otherwise (MEM-03)", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryAuditStore.MemoryAudit
      assert.strictEqual((yield* memory.stats).max, 100_000)
    }).pipe(withStore({}))
  )

  it.effect("a reader who changes the bytes of a row changes nothing that is stored (INV-2)", () =>
    Effect.gen(function* () {
      const store = yield* AuditStore
      yield* fill(2)
      const read = () => Stream.runCollect(store.rows(sessionChain(session)))
      const [first] = yield* read()
      const before = [...first!.hash]
      first!.hash.fill(0)
      assert.isTrue(Object.isFrozen(first))
      assert.deepStrictEqual([...(yield* read())[0]!.hash], before)
    }).pipe(withStore({}))
  )
})
