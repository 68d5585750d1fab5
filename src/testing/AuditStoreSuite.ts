/** The contract of `AuditStore` with its `StoreTransaction` (AUD-02, DEC-04, DEC-05). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, Exit, Fiber, type Layer } from "effect"
import { SessionId, sessionChain } from "../schema/Ids.ts"
import { AuditStore } from "../services/AuditStore.ts"
import type { ChainKeys } from "../services/ChainKeys.ts"
import { StoreTransaction } from "../services/StoreTransaction.ts"
import { base, draftIn, intact, newId, newSession } from "./AuditChains.ts"
import { readTests } from "./AuditReadTests.ts"

/**
 * Registers the tests. `stores` MUST build store and transaction over one state, sealed with the keys it provides. With a
 * real database pass `clock: "database"`, so that its drivers see real time.
 */
export const suite = <E>(
  name: string,
  stores: Layer.Layer<AuditStore | StoreTransaction | ChainKeys, E>,
  options: { readonly clock?: "test" | "database" } = {}
) =>
  layerTest(stores, { excludeTestServices: options.clock === "database", timeout: "60 seconds" })(
    `AuditStore (${name})`,
    (it) => {
      for (const callers of [50, 500]) {
        it.effect(
          `${callers} concurrent appends on one session leave one row without predecessor, no fork, no gap (AUD-02, AUD-13)`,
          () =>
            Effect.gen(function* () {
              const store = yield* AuditStore
              const session = newSession()
              const results = yield* Effect.forEach(
                Array.from({ length: callers }, (_, i) => draftIn(session, { metadataText: `{"i":${i}}` })),
                store.append,
                { concurrency: "unbounded" }
              )
              const rows = yield* intact(sessionChain(session))
              assert.strictEqual(rows.length, callers)
              assert.strictEqual(rows.filter((row) => row.prev === null).length, 1)
              const place = new Map(rows.map((row) => [row.id, row.seq]))
              for (const { _tag, row } of results) {
                assert.strictEqual(_tag, "Stored")
                assert.strictEqual(place.get(row.id), row.seq)
              }
            })
        )
      }

      it.effect("sessions grow independently of each other (AUD-02)", () =>
        Effect.gen(function* () {
          const store = yield* AuditStore
          const sessions = Array.from({ length: 20 }, newSession)
          yield* Effect.forEach(
            sessions.flatMap((session) => Array.from({ length: 5 }, () => draftIn(session))),
            store.append,
            { concurrency: "unbounded" }
          )
          for (const session of sessions) {
            assert.deepStrictEqual(
              (yield* intact(sessionChain(session))).map((row) => row.seq),
              [1, 2, 3, 4, 5]
            )
          }
        })
      )

      it.effect(
        "returns the stored row for an id it knows, however often and from however many callers (DEC-05, A-26)",
        () =>
          Effect.gen(function* () {
            const store = yield* AuditStore
            const session = newSession()
            const draft = draftIn(session)
            const results = yield* Effect.forEach(Array.from({ length: 20 }), () => store.append(draft), {
              concurrency: "unbounded"
            })
            const later = yield* store.append({ ...draft, metadataText: '{"other":true}' })
            assert.strictEqual((yield* intact(sessionChain(session))).length, 1)
            for (const { row } of [...results, later]) assert.strictEqual(row.seq, 1)
            assert.strictEqual(later._tag, "IdTaken")
            assert.include(later.row.canonical, `"metadata":${draft.metadataText},`)
          })
      )

      it.effect("one id may stand in two chains, once in each (DEC-05)", () =>
        Effect.gen(function* () {
          const store = yield* AuditStore
          const [one, two] = [newSession(), newSession()]
          const draft = draftIn(one)
          yield* store.append(draft)
          const other = yield* store.append({ ...draft, session: two, chain: sessionChain(two) })
          assert.strictEqual(other._tag, "Stored")
          assert.sameMembers(
            (yield* store.byId(draft.id)).map((row) => row.chain),
            [sessionChain(one), sessionChain(two)]
          )
          assert.deepStrictEqual(
            (yield* store.byId(draft.id, sessionChain(two))).map((row) => row.chain),
            [sessionChain(two)]
          )
        })
      )

      it.effect("time never goes back within a chain, whatever the writer's clock does (A-28)", () =>
        Effect.gen(function* () {
          const store = yield* AuditStore
          const session = newSession()
          const hour = 3_600_000
          for (const atMs of [base, base - hour, base + hour, base, base + 365 * 24 * hour, base]) {
            yield* store.append(draftIn(session, { atMs }))
          }
          const times = (yield* intact(sessionChain(session))).map((row) => row.atMs - base)
          assert.deepStrictEqual(times, [0, 0, hour, hour, 365 * 24 * hour, 365 * 24 * hour])
        })
      )

      it.effect("gives back every character it was given, and every column as it is in the text (DEC-04, A-12)", () =>
        Effect.gen(function* () {
          const store = yield* AuditStore
          const session = SessionId.make(`s "quoted" \\ ü 😀 \u202e ${newSession()}`)
          const draft = draftIn(session, {
            kind: 'kind "x"',
            parent: newId(),
            model: "gpt-4o",
            inputHash: 'a"b',
            outputHash: "\\",
            metadataText: '{"$utf16":"0000","a":"\ufffe\u2028","z":[1,null]}'
          })
          yield* store.append(draft)
          const [row] = yield* intact(sessionChain(session))
          assert.deepStrictEqual(
            { session: row?.session, kind: row?.kind, parent: row?.parent, agent: row?.agent, id: row?.id },
            { session, kind: draft.kind, parent: draft.parent, agent: draft.agent, id: draft.id }
          )
          assert.include(row?.canonical, `"metadata":${draft.metadataText},"model":"gpt-4o","outputHash":"\\\\"`)
        })
      )

      readTests(it)

      it.effect("an interrupted append is whole or absent, and the chain goes on (design 4)", () =>
        Effect.gen(function* () {
          const store = yield* AuditStore
          const session = newSession()
          const fibers = yield* Effect.forEach(
            Array.from({ length: 40 }, () => draftIn(session)),
            (draft) => Effect.forkChild(store.append(draft))
          )
          yield* Effect.yieldNow
          yield* Effect.forEach(fibers.slice(0, 20), Fiber.interrupt)
          yield* Fiber.awaitAll(fibers)
          const last = yield* store.append(draftIn(session))
          const rows = yield* intact(sessionChain(session))
          assert.isAtLeast(rows.length, 21)
          assert.strictEqual(rows.at(-1)?.id, last.row.id)
        })
      )

      it.effect("what a transaction appended is committed with it (design 3.7, V8-04)", () =>
        Effect.gen(function* () {
          const store = yield* AuditStore
          const transaction = yield* StoreTransaction
          const session = newSession()
          const twice = draftIn(session)
          yield* store.append(draftIn(session))
          const seqs = yield* transaction.run(
            Effect.all([
              store.appendInTransaction(twice),
              store.appendInTransaction(draftIn(session)),
              store.appendInTransaction(twice)
            ])
          )
          assert.deepStrictEqual(
            seqs.map(({ _tag, row }) => [_tag, row.seq]),
            [
              ["Stored", 2],
              ["Stored", 3],
              ["IdTaken", 2]
            ]
          )
          yield* store.append(draftIn(session))
          assert.deepStrictEqual(
            (yield* intact(sessionChain(session))).map((row) => row.seq),
            [1, 2, 3, 4]
          )
        })
      )

      it.effect("what a failed or interrupted transaction appended has never been (design 3.7, V8-04)", () =>
        Effect.gen(function* () {
          const store = yield* AuditStore
          const transaction = yield* StoreTransaction
          const session = newSession()
          const draft = draftIn(session)
          for (const end of [Effect.fail("no"), Effect.interrupt, Effect.die("bug")]) {
            const exit = yield* Effect.exit(transaction.run(Effect.andThen(store.appendInTransaction(draft), end)))
            assert.isTrue(Exit.isFailure(exit))
          }
          assert.deepStrictEqual(yield* intact(sessionChain(session)), [])
          assert.strictEqual((yield* store.append(draft))._tag, "Stored")
          assert.strictEqual((yield* intact(sessionChain(session))).length, 1)
        })
      )

      it.effect(
        "appends beside a transaction on the same chain wait for it and make no fork (AUD-02, design 3.7)",
        () =>
          Effect.gen(function* () {
            const store = yield* AuditStore
            const transaction = yield* StoreTransaction
            const session = newSession()
            const act = () =>
              transaction.run(Effect.andThen(store.appendInTransaction(draftIn(session)), Effect.yieldNow))
            yield* Effect.all(
              Array.from({ length: 10 }, (_, i) =>
                i % 2 === 0 ? act() : Effect.asVoid(store.append(draftIn(session)))
              ),
              { concurrency: "unbounded" }
            )
            assert.strictEqual((yield* intact(sessionChain(session))).length, 10)
          })
      )
    }
  )
