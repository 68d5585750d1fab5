/** The contract of `CursorKeyStore` (P-10). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CursorKeyStore } from "../services/CursorKeyStore.ts"

/** Registers the tests. `another` is a platform beside it. */
export const suite = <E, E2>(
  name: string,
  stores: Layer.Layer<CursorKeyStore, E>,
  another: Layer.Layer<CursorKeyStore, E2>
) =>
  layerTest(stores, { excludeTestServices: true, timeout: "60 seconds" })(`CursorKeyStore (${name})`, (it) => {
    it.effect("has one key of 32 bytes, and another platform has another (P-10)", () =>
      Effect.gen(function* () {
        const { key } = yield* CursorKeyStore
        const [first, second] = [yield* key, yield* key]
        assert.lengthOf(first, 32)
        assert.deepStrictEqual(first, second)
        const other = yield* CursorKeyStore.use((store) => store.key).pipe(
          Effect.provide(Layer.fresh(another), { local: true })
        )
        assert.notDeepEqual(other, first)
      })
    )
  })
