/** The contract of `BridgeStateStore` (V8-01, DEC-21). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { ChainId } from "../schema/Ids.ts"
import { BridgeStateStore } from "../services/BridgeStateStore.ts"

const newReader = () => `bridge/${globalThis.crypto.randomUUID()}`
const newInstance = () => globalThis.crypto.randomUUID()
const at = (chain: string, seq: number) => ({ chain: ChainId.make(chain), seq })

/** Registers the tests. */
export const suite = <E>(
  name: string,
  store: Layer.Layer<BridgeStateStore, E>,
  options: { readonly live?: boolean } = {}
) =>
  layerTest(store, { excludeTestServices: options.live ?? false, timeout: "60 seconds" })(
    `BridgeStateStore (${name})`,
    (it) => {
      it.effect("begins at 1, and keeps the instance of the first who opened it (DEC-21)", () =>
        Effect.gen(function* () {
          const store = yield* BridgeStateStore
          const [reader, instance] = [newReader(), newInstance()]
          assert.isNull(yield* store.read(reader))
          const opened = yield* Effect.forEach([instance, newInstance(), newInstance()], (one) =>
            store.open(reader, one)
          )
          for (const state of opened) assert.deepStrictEqual(state, { instance, revision: 1, nextSeq: 1, inFlight: [] })
        })
      )

      it.effect("keeps what was about to be sent, in its order, with whatever chains are called (V8-01)", () =>
        Effect.gen(function* () {
          const store = yield* BridgeStateStore
          const [reader, instance] = [newReader(), newInstance()]
          const { revision } = yield* store.open(reader, instance)
          const inFlight = [
            at('session:{"a",b}', 7),
            at("agent:\u00fc \\ ' \"", 1),
            at('session:{"a",b}', 8),
            at("operator", 2 ** 40)
          ]
          assert.isTrue(yield* store.move(reader, revision, { nextSeq: 41, inFlight }))
          assert.deepStrictEqual(yield* store.open(reader, newInstance()), {
            instance,
            revision: revision + 1,
            nextSeq: 41,
            inFlight
          })
          assert.deepInclude(yield* store.read(reader), { instance, nextSeq: 41, inFlight })
          assert.isTrue(yield* store.move(reader, revision + 1, { nextSeq: 45, inFlight: [] }))
          assert.deepInclude(yield* store.open(reader, instance), { nextSeq: 45, inFlight: [] })
        })
      )

      it.effect("of many who move it from one revision one does, and nothing moves another reader (V8-01)", () =>
        Effect.gen(function* () {
          const store = yield* BridgeStateStore
          const [reader, other] = [newReader(), newReader()]
          yield* store.open(reader, newInstance())
          const before = yield* store.open(other, newInstance())
          const moved = yield* Effect.forEach(
            Array.from({ length: 16 }, (_, i) => i),
            (i) => store.move(reader, 1, { nextSeq: 100 + i, inFlight: [] }),
            { concurrency: "unbounded" }
          )
          assert.lengthOf(
            moved.filter((won) => won),
            1
          )
          assert.strictEqual((yield* store.open(reader, newInstance())).nextSeq, 100 + moved.indexOf(true))
          assert.isFalse(yield* store.move(reader, 1, { nextSeq: 1, inFlight: [] }))
          assert.isFalse(yield* store.move(newReader(), 1, { nextSeq: 1, inFlight: [] }))
          assert.deepStrictEqual(yield* store.open(other, newInstance()), before)
        })
      )
    }
  )
