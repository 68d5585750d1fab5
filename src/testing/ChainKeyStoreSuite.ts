/** The contract of `ChainKeyStore` (ROT-02, L-09). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { EventId, KeyId } from "../schema/Ids.ts"
import { ChainKeyStore } from "../services/ChainKeyStore.ts"
import { StoreTransaction } from "../services/StoreTransaction.ts"

/** Registers the tests; `stores` MUST build an empty registry each time it is built. */
export const suite = <E>(name: string, stores: Layer.Layer<ChainKeyStore | StoreTransaction, E>) =>
  describe(`ChainKeyStore (${name})`, () => {
    const live = (title: string, test: Effect.Effect<void, unknown, ChainKeyStore | StoreTransaction>) =>
      it.live(title, () => Effect.provide(test, stores, { local: true }))

    live(
      "begins with the first key, once, whoever comes first (ROT-02)",
      Effect.gen(function* () {
        const store = yield* ChainKeyStore
        const { deploymentId, versions } = yield* store.read
        assert.deepStrictEqual(versions, [])
        assert.match(deploymentId, /^[0-9a-f-]{36}$/)
        const begun = yield* Effect.forEach(letters, (letter) => store.begin({ ...key(letter), known: [] }), {
          concurrency: "unbounded"
        })
        assert.strictEqual(begun.filter(Boolean).length, 1)
        const found = yield* store.read
        assert.strictEqual(found.versions.length, 1)
        assert.deepInclude(found.versions[0], { version: 1, previous: null, marker: null, handover: null })
        assert.strictEqual(found.deploymentId, deploymentId)
      })
    )

    live(
      "takes the next version with everything about it, and gives it back (ROT-02)",
      Effect.gen(function* () {
        const store = yield* ChainKeyStore
        const { run } = yield* StoreTransaction
        yield* store.begin({ ...key("a"), known: [] })
        assert.isTrue(yield* run(store.advance(next(1, "a", "b", Uint8Array.of(1, 2, 3)))))
        assert.isTrue(yield* run(store.advance(next(2, "b", "c"))))
        const { versions } = yield* store.read
        assert.deepStrictEqual(
          versions.map(({ keyId, previous, version }) => [version, previous, keyId]),
          [
            [1, null, key("a").keyId],
            [2, key("a").keyId, key("b").keyId],
            [3, key("b").keyId, key("c").keyId]
          ]
        )
        assert.deepStrictEqual([...(versions[1]?.handover ?? [])], [1, 2, 3])
        assert.strictEqual(versions[1]?.marker, marker)
        assert.strictEqual(versions[1]?.fingerprint, key("b").fingerprint)
      })
    )

    live(
      "lets one of many win, and refuses whoever expects another version or key (L-09)",
      Effect.gen(function* () {
        const store = yield* ChainKeyStore
        const { run } = yield* StoreTransaction
        assert.isFalse(yield* run(store.advance(next(1, "a", "b"))))
        yield* store.begin({ ...key("a"), known: [] })
        const won = yield* Effect.forEach(letters.slice(1), (letter) => run(store.advance(next(1, "a", letter))), {
          concurrency: "unbounded"
        })
        assert.strictEqual(won.filter(Boolean).length, 1)
        const winner = (yield* store.read).versions[1]?.keyId ?? ""
        assert.isFalse(yield* run(store.advance(next(1, "a", "0"))))
        assert.isFalse(yield* run(store.advance(next(2, "a", "0"))))
        assert.isFalse(yield* run(store.advance(next(3, winner[0] ?? "", "0"))))
        assert.strictEqual((yield* store.read).versions.length, 2)
      })
    )

    live(
      "never takes a key twice: what was replaced does not come back (K-08)",
      Effect.gen(function* () {
        const store = yield* ChainKeyStore
        const { run } = yield* StoreTransaction
        yield* store.begin({ ...key("a"), known: [] })
        assert.isTrue(yield* run(store.advance(next(1, "a", "b"))))
        assert.isFalse(yield* run(store.advance(next(2, "b", "a"))))
        assert.isFalse(yield* run(store.advance(next(2, "b", "b"))))
      })
    )

    live(
      "forgets a version whose transaction failed (K-05)",
      Effect.gen(function* () {
        const store = yield* ChainKeyStore
        const { run } = yield* StoreTransaction
        yield* store.begin({ ...key("a"), known: [] })
        yield* Effect.flip(run(Effect.andThen(store.advance(next(1, "a", "b")), Effect.fail("no marker"))))
        assert.strictEqual((yield* store.read).versions.length, 1)
        assert.isTrue(yield* run(store.advance(next(1, "a", "b"))))
      })
    )
  })

const letters = ["a", "b", "c", "d"]
const marker = EventId.make("00000000-0000-4000-8000-000000000001")

const key = (letter: string) => ({ keyId: KeyId.make(letter.repeat(32)), fingerprint: letter.repeat(64) })

const next = (expected: number, previous: string, letter: string, handover: Uint8Array | null = null) => ({
  expected,
  previous: key(previous).keyId,
  ...key(letter),
  marker,
  handover
})
