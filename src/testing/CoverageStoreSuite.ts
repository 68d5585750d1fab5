/** The contract of `CoverageStore` (COV-01, COV-02). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { InstanceId, type OwnCoverage } from "../schema/Coverage.ts"
import { CoverageStore } from "../services/CoverageStore.ts"

const newInstance = () => InstanceId.make(globalThis.crypto.randomUUID())
const machine = "ab".repeat(32)
const proofOf = (byte: number) => new Uint8Array(32).fill(byte)

const ownOf = (changes: Partial<OwnCoverage> = {}): OwnCoverage => ({
  instance: newInstance(),
  machine,
  wrappers: [{ name: "openai", sdkVersion: "7.55.0", clients: 2 }],
  governed: 3,
  calls: 4,
  hosts: [{ host: "cd".repeat(32), governed: 3, calls: 4 }],
  ...changes
})

/** How a test comes to instances that were last heard of long ago. */
export interface Ageing<R> {
  readonly clock: "test" | "database"
  /** Makes everything that is in the store now that many days older. */
  readonly age: (days: number) => Effect.Effect<void, unknown, R>
}

/** Registers the tests. */
export const suite = <E, R>(name: string, store: Layer.Layer<CoverageStore | R, E>, { age, clock }: Ageing<R>) =>
  layerTest(store, { excludeTestServices: clock === "database", timeout: "60 seconds" })(
    `CoverageStore (${name})`,
    (it) => {
      const found = (instance: InstanceId) =>
        CoverageStore.use((store) =>
          Effect.map(store.list, (all) => all.find((row) => row.instance === instance) ?? null)
        )
      const report = (own: OwnCoverage, proof = proofOf(1)) => CoverageStore.use((store) => store.report(own, proof))

      it.effect("keeps what an instance says of itself, the last word in place of the one before (COV-01)", () =>
        Effect.gen(function* () {
          const first = ownOf()
          assert.isTrue(yield* report(first))
          const begun = yield* found(first.instance)
          assert.deepInclude(begun, first)
          const second = { ...first, governed: 5, calls: 9, wrappers: [], hosts: [] }
          assert.isTrue(yield* report(second))
          const now = yield* found(first.instance)
          assert.deepInclude(now, second)
          assert.strictEqual(now?.startedAtMs, begun?.startedAtMs)
          assert.isAtLeast(now?.lastSeenMs ?? 0, begun?.lastSeenMs ?? Number.NaN)
        })
      )

      it.effect("nobody speaks for an instance without its proof, nor moves it to another machine (COV-01)", () =>
        Effect.gen(function* () {
          const own = ownOf()
          yield* report(own)
          const before = yield* found(own.instance)
          const louder = { ...own, governed: 1000, calls: 1000 }
          assert.isFalse(yield* report(louder, proofOf(2)))
          assert.isFalse(yield* report({ ...louder, machine: "00".repeat(32) }))
          assert.deepStrictEqual(yield* found(own.instance), before)
        })
      )

      it.effect("what was counted is not unsaid: neither raw calls nor governed ones (BEY-13)", () =>
        Effect.gen(function* () {
          const own = ownOf()
          yield* report(own)
          assert.isFalse(yield* report({ ...own, calls: 3 }))
          assert.isFalse(yield* report({ ...own, governed: 2 }))
          assert.deepInclude(yield* found(own.instance), own)
        })
      )

      it.effect("a restarted process is another instance, and both are there (COV-02)", () =>
        Effect.gen(function* () {
          const [before, after] = [ownOf(), ownOf()]
          yield* report(before, proofOf(3))
          yield* report(after, proofOf(4))
          assert.deepInclude(yield* found(before.instance), before)
          assert.deepInclude(yield* found(after.instance), after)
        })
      )

      it.effect("of many reports at once each instance keeps its own (COV-01)", () =>
        Effect.gen(function* () {
          const all = Array.from({ length: 20 }, (_, i) => ownOf({ governed: i, calls: i }))
          yield* Effect.forEach(all, (own) => report(own), { concurrency: "unbounded", discard: true })
          for (const own of all) assert.deepInclude(yield* found(own.instance), own)
        })
      )

      it.effect(
        "forgets who was not heard of for 30 days, when somebody else reports, and nobody before (COV-02)",
        () =>
          Effect.gen(function* () {
            const [old, young, present] = [ownOf(), ownOf(), ownOf()]
            yield* report(old)
            yield* age(2)
            yield* report(young)
            yield* age(29)
            assert.isNotNull(yield* found(old.instance))
            yield* report(present)
            assert.isNull(yield* found(old.instance))
            assert.isNotNull(yield* found(young.instance))
            const store = yield* CoverageStore
            const [newest] = yield* store.list
            assert.strictEqual(newest?.instance, present.instance)
          })
      )
    }
  )
