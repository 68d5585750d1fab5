/** The contract of `PromptStore` with its `StoreTransaction` (PRM-01, V8-10). */
import { assert, layer as layerTest } from "@effect/vitest"
import { DateTime, Effect, Exit, type Layer } from "effect"
import { Hex } from "effect/encoding"
import { OperatorId } from "../schema/Ids.ts"
import { PromptName, promptContent, promptVersion } from "../schema/Prompt.ts"
import { ChainKeys } from "../services/ChainKeys.ts"
import { PromptStore } from "../services/PromptStore.ts"
import { StoreTransaction } from "../services/StoreTransaction.ts"

const ada = OperatorId.make("ada")
const newName = () => PromptName.make(`prompt ${crypto.randomUUID()}`)

/** A text as the store takes it; the version is its true hash, since a store may refuse any other. */
const prompt = (name: PromptName, text: string) =>
  ChainKeys.use(({ hash }) => {
    const content = promptContent(text)
    return Effect.succeed({ name, content, version: promptVersion(content, (it) => Hex.encode(hash(it))), by: ada })
  })

const registered = Effect.fnUntraced(function* (name: PromptName, ...texts: ReadonlyArray<string>) {
  const store = yield* PromptStore
  const prompts = yield* Effect.forEach(texts, (text) => prompt(name, text))
  for (const one of prompts) yield* store.register(one)
  return prompts
})

const active = (name: PromptName) =>
  PromptStore.use((store) => Effect.map(store.content(name, null), (found) => found?.version ?? null))

/** Registers the tests; `stores` MUST build store and transaction over one state. With a database pass its clock. */
export const suite = <E>(
  name: string,
  stores: Layer.Layer<PromptStore | StoreTransaction | ChainKeys, E>,
  options: { readonly clock?: "test" | "database" } = {}
) =>
  layerTest(stores, { excludeTestServices: options.clock === "database", timeout: "60 seconds" })(
    `PromptStore (${name})`,
    (it) => {
      it.effect("keeps a version once, with who registered it first (PRM-01)", () =>
        Effect.gen(function* () {
          const store = yield* PromptStore
          const called = newName()
          const one = yield* prompt(called, "Sort the mail.\n")
          assert.isTrue(yield* store.register(one))
          assert.isFalse(yield* store.register({ ...one, by: OperatorId.make("bob") }))
          const { activations, versions } = yield* store.history(called)
          assert.deepStrictEqual(
            versions.map(({ by, version }) => [by, version]),
            [["ada", one.version]]
          )
          assert.deepStrictEqual(activations, [])
          assert.deepStrictEqual(
            { ...(yield* store.content(called, one.version)) },
            {
              version: one.version,
              content: one.content
            }
          )
          assert.isNull(yield* store.content(called, null))
        })
      )

      it.effect("gives any text back as it was registered (DEC-17)", () =>
        Effect.gen(function* () {
          const store = yield* PromptStore
          const called = newName()
          const texts = ["\u0000", "\ud800 half", "a\r\nb\u2028", "\u202egnp.exe", "𝔘ñí", '{"$utf16":"0000"}', "$x"]
          for (const one of yield* registered(called, ...texts)) {
            assert.strictEqual((yield* store.content(called, one.version))?.content, one.content)
          }
        })
      )

      it.effect("one version is active: the one activated last; activating it again changes nothing (PRM-01)", () =>
        Effect.gen(function* () {
          const store = yield* PromptStore
          const called = newName()
          const [a, b] = yield* registered(called, "a", "b")
          const first = yield* store.activate({ name: called, version: a!.version, by: ada })
          const second = yield* store.activate({ name: called, version: b!.version, by: ada })
          assert.strictEqual((yield* store.activate({ name: called, version: b!.version, by: ada }))._tag, "Unchanged")
          assert.strictEqual(yield* active(called), b!.version)
          assert.deepStrictEqual(
            [first, second].map((one) => (one._tag === "Activated" ? [one.activation.seq, one.previous] : one._tag)),
            [
              [1, null],
              [2, a!.version]
            ]
          )
          const { activations } = yield* store.history(called)
          assert.deepStrictEqual(
            activations.map(({ by, name, seq, version }) => ({ by, name, seq, version })),
            [
              { by: ada, name: called, seq: 1, version: a!.version },
              { by: ada, name: called, seq: 2, version: b!.version }
            ]
          )
          assert.isTrue(activations.every(({ at }) => DateTime.isDateTime(at)))
        })
      )

      it.effect("rolls back step by step, and never to what was rolled back from (V8-10)", () =>
        Effect.gen(function* () {
          const store = yield* PromptStore
          const called = newName()
          const [a, b, c, d] = yield* registered(called, "a", "b", "c", "d")
          for (const one of [a!, b!, c!]) yield* store.activate({ name: called, version: one.version, by: ada })
          const back = Effect.map(store.rollback({ name: called, by: ada }), (result) =>
            result._tag === "Activated" ? [result.activation.version, result.previous] : result._tag
          )
          assert.deepStrictEqual(yield* back, [b!.version, c!.version])
          assert.deepStrictEqual(yield* back, [a!.version, b!.version])
          assert.strictEqual(yield* back, "NothingEarlier")
          yield* store.activate({ name: called, version: d!.version, by: ada })
          assert.deepStrictEqual(yield* back, [a!.version, d!.version])
          assert.strictEqual(yield* active(called), a!.version)
          assert.strictEqual((yield* store.history(called)).activations.length, 7)
        })
      )

      it.effect("knows no version and no name that nobody registered", () =>
        Effect.gen(function* () {
          const store = yield* PromptStore
          const called = newName()
          const one = yield* prompt(called, "never registered")
          assert.strictEqual((yield* store.activate(one))._tag, "Unknown")
          assert.strictEqual((yield* store.rollback(one))._tag, "Unknown")
          assert.isNull(yield* store.content(called, one.version))
          assert.deepStrictEqual({ ...(yield* store.history(called)) }, { versions: [], activations: [] })
          yield* registered(called, "another")
          assert.strictEqual((yield* store.activate(one))._tag, "Unknown")
          assert.strictEqual((yield* store.rollback(one))._tag, "NothingEarlier")
        })
      )

      it.effect("lists every prompt with its versions and the active one, in order of name", () =>
        Effect.gen(function* () {
          const store = yield* PromptStore
          const [one, two] = [newName(), newName()].sort()
          const [, b] = yield* registered(one!, "a", "b")
          yield* registered(two!, "a")
          yield* store.activate({ name: one!, version: b!.version, by: ada })
          assert.deepStrictEqual(
            (yield* store.list).filter(({ name }) => name === one || name === two).map((found) => ({ ...found })),
            [
              { name: one!, versions: 2, active: b!.version },
              { name: two!, versions: 1, active: null }
            ]
          )
        })
      )

      it.effect("a transaction that fails takes version and activation with it (design 3.7)", () =>
        Effect.gen(function* () {
          const store = yield* PromptStore
          const transaction = yield* StoreTransaction
          const called = newName()
          const [a] = yield* registered(called, "a")
          const b = yield* prompt(called, "b")
          const exit = yield* Effect.exit(
            transaction.run(
              Effect.gen(function* () {
                yield* store.register(b)
                yield* store.activate({ name: called, version: a!.version, by: ada })
                return yield* Effect.fail("no" as const)
              })
            )
          )
          assert.isTrue(Exit.isFailure(exit))
          const { activations, versions } = yield* store.history(called)
          assert.deepStrictEqual([versions.length, activations.length], [1, 0])
        })
      )

      it.effect("any number of activations at once leave one line of them, without a gap (A-07)", () =>
        Effect.gen(function* () {
          const store = yield* PromptStore
          const called = newName()
          const versions = yield* registered(called, ...Array.from({ length: 12 }, (_, i) => `text ${i}`))
          const results = yield* Effect.forEach(
            versions,
            ({ version }) => store.activate({ name: called, version, by: ada }),
            { concurrency: "unbounded" }
          )
          const { activations } = yield* store.history(called)
          assert.deepStrictEqual(
            activations.map(({ seq }) => seq),
            versions.map((_, i) => i + 1)
          )
          assert.strictEqual(new Set(activations.map(({ version }) => version)).size, 12)
          for (const result of results) {
            assert.strictEqual(result._tag, "Activated")
            if (result._tag !== "Activated") continue
            const before = activations[result.activation.seq - 2]
            assert.strictEqual(result.previous, before?.version ?? null)
          }
        })
      )
    }
  )
