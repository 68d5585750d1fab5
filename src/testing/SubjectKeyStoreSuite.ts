/** The contract of `SubjectKeyStore` (BEY-12, A-30). */
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Exit, type Layer } from "effect"
import { EventId, KeyId } from "../schema/Ids.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import { AuditStore } from "../services/AuditStore.ts"
import { StoreTransaction } from "../services/StoreTransaction.ts"
import { type CurrentKey, SubjectKeyStore } from "../services/SubjectKeyStore.ts"

/** Registers the tests; the stores MUST share one transaction. Subjects are new in each, so that a database may be shared. */
export const suite = <E>(name: string, stores: Layer.Layer<AuditStore | SubjectKeyStore | StoreTransaction, E>) =>
  layer(stores, { excludeTestServices: true, timeout: "60 seconds" })(`SubjectKeyStore (${name})`, (it) => {
    it.effect("gives everybody who asks at once the same key, in whatever order they ask (BEY-12)", () =>
      Effect.gen(function* () {
        const store = yield* SubjectKeyStore
        const subjects = [newSubject(), newSubject(), newSubject()]
        const asked = yield* Effect.forEach(
          Array.from({ length: 12 }, (_, n) => n),
          (n) => store.current((n % 2 === 0 ? subjects : [...subjects].reverse()).map(candidate), []),
          { concurrency: "unbounded" }
        )
        const ids = subjects.map(
          (subject) => new Set(asked.map((rows) => rows.find((row) => row.subject === subject)?.id))
        )
        assert.deepStrictEqual(
          ids.map((one) => one.size),
          [1, 1, 1]
        )
        assert.deepStrictEqual(new Set(yield* store.idsOf(subjects[0]!)), new Set(ids[0]))
      })
    )

    it.effect("keeps the bytes as they are, and knows nothing of an id that it never had", () =>
      Effect.gen(function* () {
        const store = yield* SubjectKeyStore
        const made = candidate(newSubject())
        yield* store.current([made], [])
        assert.deepStrictEqual(yield* store.byId([made.id, "unknown"]), [
          { _tag: "Kept", id: made.id, wrapped: made.wrapped, wrapKey: made.wrapKey }
        ])
      })
    )

    it.effect("replaces a key that cannot be unwrapped and keeps it for what it sealed (BEY-12)", () =>
      Effect.gen(function* () {
        const store = yield* SubjectKeyStore
        const subject = newSubject()
        const [first, second, third] = [candidate(subject), candidate(subject), candidate(subject)]
        yield* store.current([first], [])
        assert.deepStrictEqual(yield* store.current([second], [first.id]), [second])
        assert.deepStrictEqual(yield* store.current([third], [first.id]), [second])
        assert.sameMembers([...(yield* store.idsOf(subject))], [first.id, second.id])
        assert.lengthOf(yield* store.byId([first.id]), 1)
      })
    )

    it.effect("erasing forgets the bytes and the subject of every key, and the next value gets a new one (A-30)", () =>
      Effect.gen(function* () {
        const store = yield* SubjectKeyStore
        const subject = newSubject()
        const [first, second, third] = [candidate(subject), candidate(subject), candidate(subject)]
        yield* store.current([first], [])
        yield* store.current([second], [first.id])
        assert.sameMembers([...(yield* erased(subject))], [first.id, second.id])
        const known = yield* store.byId([first.id, second.id])
        assert.deepStrictEqual(
          known.map(({ _tag }) => _tag),
          ["Erased", "Erased"]
        )
        assert.deepStrictEqual(yield* store.idsOf(subject), [])
        assert.deepStrictEqual(yield* erased(subject), [])
        assert.deepStrictEqual(yield* store.current([third], []), [third])
      })
    )

    it.effect("an erasure whose transaction fails has erased nothing", () =>
      Effect.gen(function* () {
        const store = yield* SubjectKeyStore
        const transaction = yield* StoreTransaction
        const made = candidate(newSubject())
        yield* store.current([made], [])
        const failed = yield* Effect.exit(transaction.run(Effect.andThen(store.erase(made.subject), Effect.fail("no"))))
        assert.isTrue(Exit.isFailure(failed))
        assert.deepStrictEqual(yield* store.current([candidate(made.subject)], []), [made])
      })
    )

    it.effect("takes a subject of any characters that an identifier can have, and none at all", () =>
      Effect.gen(function* () {
        const store = yield* SubjectKeyStore
        const made = candidate(`${newSubject()}'; DROP TABLE x; -- "\\ ü 漢 😀`)
        assert.deepStrictEqual(yield* store.current([made], []), [made])
        assert.deepStrictEqual(yield* store.current([], []), [])
        assert.deepStrictEqual(yield* store.byId([]), [])
      })
    )
  })

/** An erasure as the service makes it: with its row, or not at all. */
const erased = Effect.fnUntraced(function* (subject: string) {
  const store = yield* SubjectKeyStore
  const log = yield* AuditStore
  const nowMs = yield* Clock.currentTimeMillis
  const row = (keys: ReadonlyArray<string>) =>
    operatorDraft(EventId.make(globalThis.crypto.randomUUID()), nowMs, "audit.subject_erased", { keys: [...keys] })
  return yield* (yield* StoreTransaction).run(
    Effect.tap(store.erase(subject), (keys) => log.appendInTransaction(row(keys)))
  )
})

const newSubject = () => `subject-${globalThis.crypto.randomUUID()}`

const candidate = (subject: string): CurrentKey => ({
  id: globalThis.crypto.randomUUID(),
  subject,
  wrapped: globalThis.crypto.getRandomValues(new Uint8Array(60)),
  wrapKey: KeyId.make("0123456789abcdef0123456789abcdef")
})
