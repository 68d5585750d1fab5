import { randomUUID } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as AuditStorePg from "../../src/layers/postgres/AuditStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as StoreTransactionPg from "../../src/layers/postgres/StoreTransaction.ts"
import { EventId } from "../../src/schema/Ids.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { ChainKeys } from "../../src/services/ChainKeys.ts"
import * as KeyRing from "../../src/services/KeyRing.ts"
import { StoreTransaction } from "../../src/services/StoreTransaction.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { chainNamed, draft, inspect, keys, sealAll } from "./AuditRows.ts"
import * as SilentProxy from "./SilentProxy.ts"

const testKeys = Layer.succeed(ChainKeys, {
  current: keys,
  macFor: () => keys.mac,
  keyIds: () => [keys.keyId],
  macWith: () => keys.mac,
  hash: keys.hash,
  deriveKey: () => {
    throw new Error("not used by a store")
  },
  macOf: () => keys.mac,
  fingerprint: "0".repeat(64),
  ephemeral: false,
  ring: KeyRing.make(new Uint8Array(32), []).ring
})

/** A store as one process has it: its own connections, in the runtime role. */
const store = (options: AuditStorePg.AuditStoreOptions = {}, url?: Redacted.Redacted) =>
  Layer.unwrap(
    Effect.map(TestDatabase, (database) =>
      Layer.mergeAll(AuditStorePg.layerWith(options), StoreTransactionPg.layer).pipe(
        Layer.provideMerge(Database.layerFromUrl(url ?? database.appUrl)),
        Layer.provide(testKeys)
      )
    )
  )
const inFresh = Effect.provide(freshDatabase, { local: true })
const inStore = Effect.provide(Layer.provideMerge(store(), freshDatabase), { local: true })
const asAdmin = <A, E>(self: Effect.Effect<A, E, SqlClient.SqlClient>) =>
  Effect.provide(self, layerSql("admin"), { local: true })
const admin = (text: string, parameters: ReadonlyArray<unknown> = []) =>
  asAdmin(SqlClient.SqlClient.use((sql) => sql.unsafe(text, parameters).values))
const times = <A, E, R>(n: number, each: (i: number) => Effect.Effect<A, E, R>) =>
  Effect.all(
    Array.from({ length: n }, (_, i) => each(i)),
    { concurrency: "unbounded" }
  )
const one = Effect.flatMap(AuditStore, (audit) => audit.append(draft("x")))

describe("the audit writer", () => {
  for (const chains of [1, 100]) {
    it.live(`two processes on ${chains} chain(s) make no fork and no gap and lose nothing (AUD-02, A-07, R-05)`, () =>
      Effect.gen(function* () {
        const process = Effect.flatMap(AuditStore, (audit) =>
          times(64, (fiber) =>
            Effect.forEach(
              Array.from({ length: 25 }, (_, n) => n),
              (n) => audit.append(draft(`c${(fiber * 7 + n) % chains}`))
            )
          )
        ).pipe(Effect.provide(store(), { local: true }))
        const acked = (yield* Effect.all([process, process], { concurrency: 2 })).flat(2)
        const { rows, problems } = yield* asAdmin(inspect)
        assert.deepStrictEqual(problems, [])
        assert.strictEqual(rows.length, 2 * 64 * 25)
        const place = new Map(rows.map((row) => [row.id, `${row.chain} ${row.seq}`]))
        for (const { _tag, row } of acked) {
          assert.strictEqual(_tag, "Stored")
          assert.strictEqual(place.get(row.id), `${row.chain} ${row.seq}`)
        }
      }).pipe(inFresh)
    )
  }

  it.live("stores the innocent events of a batch with poison in it, and fails only the poison (F-11)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const results = yield* times(200, (n) =>
        Effect.exit(
          audit.append(
            draft(`c${n % 3}`, n % 40 === 7 ? { kind: "k".repeat(600) } : n % 40 === 9 ? { kind: "a\0" } : {})
          )
        )
      )
      assert.strictEqual(results.filter(Exit.isFailure).length, 10)
      const { rows, problems } = yield* asAdmin(inspect)
      assert.deepStrictEqual([rows.length, problems], [190, []])
      const error = yield* Effect.flip(audit.append(draft("c0", { kind: "k".repeat(600) })))
      assert.deepStrictEqual([error._tag, error.problem], ["StoreError", "refused"])
    }).pipe(inStore)
  )

  it.live("keeps every acknowledged event once while its backends are killed under it (F-02, F-03, F-04)", () =>
    Effect.gen(function* () {
      const kill = admin(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'governance audit' AND datname = current_database()"
      )
      const audit = yield* AuditStore
      const writing = yield* Effect.forkChild(
        times(32, (fiber) =>
          Effect.forEach(
            Array.from({ length: 60 }, (_, n) => n),
            (n) => audit.append(draft(`c${(fiber + n) % 5}`))
          )
        )
      )
      let killed = 0
      for (let n = 0; n < 8 && writing.pollUnsafe() === undefined; n++) {
        yield* Effect.sleep("15 millis")
        killed += (yield* kill).length
      }
      const acked = (yield* Fiber.join(writing)).flat()
      const { rows, problems } = yield* asAdmin(inspect)
      assert.deepStrictEqual(problems, [])
      assert.isAbove(killed, 0)
      assert.strictEqual(rows.length, 32 * 60)
      assert.strictEqual(new Set(acked.map(({ row }) => row.id)).size, rows.length)
    }).pipe(inStore)
  )

  it.live(
    "answers that never arrive: the statement may have committed, and is looked up instead of repeated (F-04, F-06)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const proxy = yield* SilentProxy.make(appUrl)
        yield* Effect.gen(function* () {
          const audit = yield* AuditStore
          yield* audit.append(draft("c"))
          const writing = yield* Effect.forkChild(times(40, (n) => audit.append(draft(n % 2 === 0 ? "c" : "d"))))
          yield* Effect.yieldNow
          assert.isAbove(yield* proxy.silence, 0)
          const results = yield* Fiber.join(writing)
          assert.isTrue(results.every((each) => each._tag === "Stored"))
          const { rows, problems } = yield* asAdmin(inspect)
          assert.deepStrictEqual([rows.length, problems], [41, []])
        }).pipe(Effect.provide(store({ deadlineMs: 300 }, proxy.url), { local: true }))
      }).pipe(Effect.scoped, inFresh)
  )

  it.live("an interrupted append is stored once or not at all, and the same id can be asked for again (F-09)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const drafts = Array.from({ length: 150 }, (_, n) => draft(`c${n % 2}`))
      yield* Effect.forEach(
        drafts,
        (each, n) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(audit.append(each))
            for (let yields = 0; yields < n % 7; yields++) yield* Effect.yieldNow
            if (n % 3 === 0) yield* Effect.sleep(n % 4)
            yield* Fiber.interrupt(fiber)
          }),
        { concurrency: 10 }
      )
      for (const each of drafts) assert.strictEqual((yield* audit.append(each)).row.id, each.id)
      const { rows, problems } = yield* asAdmin(inspect)
      assert.deepStrictEqual([rows.length, problems], [150, []])
    }).pipe(inStore)
  )

  it.live("an id that is in the chain gives the stored row back, to one of many callers as its own (DEC-05)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const same = draft("c", { id: EventId.make(randomUUID()) })
      const results = yield* times(20, (n) => audit.append({ ...same, kind: `kind.${n}` }))
      assert.strictEqual(results.filter((each) => each._tag === "Stored").length, 1)
      assert.strictEqual(new Set(results.map((each) => each.row.canonical)).size, 1)
      const later = yield* Effect.provide(
        Effect.flatMap(AuditStore, (other) => other.append(same)),
        store(),
        { local: true }
      )
      assert.deepStrictEqual([later._tag, later.row.seq], ["IdTaken", 1])
      yield* audit.append(draft("c"))
      const { rows, problems } = yield* asAdmin(inspect)
      assert.deepStrictEqual([rows.length, problems], [2, []])
    }).pipe(inStore)
  )

  it.live("a head that was set back is an integrity error, never retried and never a fork (A-07, F-13)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const rows = yield* Effect.forEach([1, 2, 3], () => audit.append(draft("c")))
      yield* admin("UPDATE governance_audit_chain_heads SET seq = 1, hash = $1, prev_seq = 0, prev_hash = NULL", [
        rows[0]?.row.hash
      ])
      const [bad, good] = yield* Effect.all([Effect.flip(audit.append(draft("c"))), audit.append(draft("d"))], {
        concurrency: 2
      })
      assert.deepStrictEqual([bad.problem, good._tag], ["integrity", "Stored"])
      assert.strictEqual((yield* asAdmin(inspect)).rows.length, 4)
    }).pipe(inStore)
  )

  it.live("at most maxPending events wait, one more is refused at once (R-05)", () =>
    Effect.gen(function* () {
      const results = yield* Effect.flatMap(AuditStore, (audit) =>
        times(50, () => Effect.exit(audit.append(draft("c"))))
      )
      const failed = results.filter(Exit.isFailure)
      assert.strictEqual(failed.length, 40)
      assert.include(String(failed[0]), "no room for more")
    }).pipe(Effect.provide(Layer.provideMerge(store({ maxPending: 10 }), freshDatabase), { local: true }))
  )

  it.live("closing its scope stores what waits, then refuses (ENT-12, F-16)", () =>
    Effect.gen(function* () {
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      const audit = yield* Effect.gen(function* () {
        const found = yield* AuditStore
        for (let n = 0; n < 1200; n++) fibers.push(yield* Effect.forkDetach(found.append(draft(`c${n % 9}`))))
        yield* Effect.yieldNow
        return found
      }).pipe(Effect.provide(store(), { local: true }))
      yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual((yield* asAdmin(inspect)).rows.length, 1200)
      assert.strictEqual((yield* Effect.flip(audit.append(draft("c")))).problem, "closed")
    }).pipe(inFresh)
  )

  it.live(
    "a database that is not there fails each call in time, and does not stop the host from starting (INV-1, R-01)",
    () =>
      Effect.gen(function* () {
        const audit = yield* AuditStore
        assert.strictEqual((yield* Effect.flip(audit.append(draft("c")))).problem, "unreachable")
        assert.strictEqual((yield* Effect.flip(audit.head(chainNamed("c")))).problem, "unreachable")
        const database = yield* Database.Database
        assert.strictEqual((yield* Effect.flip(database.ping)).problem, "unreachable")
      }).pipe(
        Effect.provide(
          Layer.provide(store({ patienceMs: 300 }, Redacted.make("postgres://nobody@127.0.0.1:1/none")), freshDatabase),
          { local: true }
        )
      )
  )
})

describe("a store transaction", () => {
  it.live("commits or loses its row as a whole (design 3.7, A-22)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const transaction = yield* StoreTransaction
      yield* transaction.run(audit.appendInTransaction(draft("c")))
      yield* audit.append(draft("c"))
      const lost = yield* Effect.exit(
        transaction.run(Effect.andThen(audit.appendInTransaction(draft("c")), Effect.fail("no")))
      )
      assert.isTrue(Exit.isFailure(lost))
      const first = yield* Effect.exit(
        transaction.run(Effect.andThen(audit.appendInTransaction(draft("new")), Effect.fail("no")))
      )
      assert.isTrue(Exit.isFailure(first))
      assert.deepStrictEqual(yield* audit.head(chainNamed("new")), { seq: 0, hash: null, atMs: 0 })
      yield* audit.append(draft("c"))
      const { rows, problems } = yield* asAdmin(inspect)
      assert.deepStrictEqual([rows.length, problems], [3, []])
    }).pipe(inStore)
  )

  it.live("and the writer share a chain without a fork, on a chain that neither has seen (A-07)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const transaction = yield* StoreTransaction
      yield* times(40, (n) =>
        n % 4 === 0 ? transaction.run(audit.appendInTransaction(draft("c"))) : audit.append(draft("c"))
      )
      const { rows, problems } = yield* asAdmin(inspect)
      assert.deepStrictEqual([rows.length, problems], [40, []])
    }).pipe(inStore)
  )

  it.live("knows an id that is taken and stays usable (DEC-05)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const transaction = yield* StoreTransaction
      const same = draft("c")
      yield* audit.append(same)
      const tags = yield* transaction.run(
        Effect.gen(function* () {
          const first = yield* audit.appendInTransaction(same)
          const second = yield* audit.appendInTransaction(draft("c"))
          return [first._tag, second._tag, second.row.seq]
        })
      )
      assert.deepStrictEqual(tags, ["IdTaken", "Stored", 2])
    }).pipe(inStore)
  )

  it.live("outside of run the append is a defect (DEC-06)", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.flatMap(AuditStore, (audit) => audit.appendInTransaction(draft("c"))))
      assert.include(String(exit), "outside of StoreTransaction.run")
    }).pipe(inStore)
  )

  it.live("a backend that is killed inside it is a StoreError, not a defect (F-03)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const transaction = yield* StoreTransaction
      const kill = admin(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
      )
      const error = yield* Effect.flip(
        transaction.run(
          audit.appendInTransaction(draft("c")).pipe(Effect.andThen(kill), Effect.andThen(Effect.sleep("50 millis")))
        )
      )
      assert.strictEqual((error as { readonly _tag: string })._tag, "StoreError")
      assert.strictEqual((yield* one)._tag, "Stored")
      assert.strictEqual((yield* asAdmin(inspect)).rows.length, 1)
    }).pipe(inStore)
  )

  it.live("does not join a transaction of the host's, whose rollback takes nothing with it (ENT-13, R-06)", () =>
    Effect.gen(function* () {
      const host = yield* PgClient.PgClient
      const audit = yield* AuditStore
      const transaction = yield* StoreTransaction
      yield* Effect.exit(
        host.withTransaction(
          Effect.gen(function* () {
            yield* audit.append(draft("c"))
            yield* transaction.run(audit.appendInTransaction(draft("c")))
            yield* Effect.ignore(host.unsafe("SELECT 1/0"))
            assert.strictEqual((yield* audit.find({ chain: chainNamed("c") })).length, 2)
            return yield* Effect.fail("rolled back")
          })
        )
      )
      assert.strictEqual((yield* asAdmin(inspect)).rows.length, 2)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(AuditStorePg.layer, StoreTransactionPg.layer).pipe(
          Layer.provideMerge(Database.layerFromClient()),
          Layer.provide(testKeys),
          Layer.provideMerge(
            layerSql("app", {
              transformResultNames: (name) => `x_${name}`,
              transformQueryNames: (name) => `y_${name}`,
              transformJson: true
            })
          ),
          Layer.provideMerge(freshDatabase)
        ),
        { local: true }
      )
    )
  )
})

describe("reading the audit log", () => {
  it.live("gives chains in order, page by page, by range, by filter and by id (AUD-10, AUD-14)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      yield* times(4100, (n) => audit.append(draft("long", { atMs: 1_790_000_000_000 + n })))
      const other = yield* audit.append(draft("other", { kind: "agent.halted", atMs: 1_780_000_000_000 }))
      const seqs = yield* Stream.runCollect(Stream.map(audit.rows(chainNamed("long")), (row) => row.seq))
      assert.deepStrictEqual(
        Array.from(seqs),
        Array.from({ length: 4100 }, (_, n) => n + 1)
      )
      const range = yield* Stream.runCollect(audit.rows(chainNamed("long"), { fromSeq: 1999, toSeq: 2003 }))
      assert.deepStrictEqual(
        Array.from(range, (row) => row.seq),
        [1999, 2000, 2001, 2002, 2003]
      )
      assert.strictEqual((yield* audit.find({ chain: chainNamed("long") })).length, 1000)
      assert.deepStrictEqual(
        (yield* audit.find({ chain: chainNamed("long"), newestFirst: true, limit: 2 })).map((row) => row.seq),
        [4100, 4099]
      )
      assert.deepStrictEqual(
        (yield* audit.find({ kinds: ["agent.halted"] })).map((row) => row.id),
        [other.row.id]
      )
      assert.deepStrictEqual(
        (yield* audit.find({ toMs: 1_780_000_000_000 })).map((row) => row.id),
        [other.row.id]
      )
      assert.deepStrictEqual(
        (yield* audit.byId(other.row.id)).map((row) => row.chain),
        [chainNamed("other")]
      )
      assert.deepStrictEqual(yield* audit.byId(other.row.id, chainNamed("long")), [])
      const heads = yield* audit.heads(null, 1)
      assert.deepStrictEqual(
        heads.map((head) => [head.chain, head.seq]),
        [[chainNamed("long"), 4100]]
      )
      assert.deepStrictEqual(
        (yield* audit.heads(chainNamed("long"), 10)).map((head) => head.chain),
        [chainNamed("other")]
      )
      assert.deepStrictEqual(yield* audit.movedSince(0), [
        { chain: chainNamed("long"), seq: 4100 },
        { chain: chainNamed("other"), seq: 1 }
      ])
      assert.deepStrictEqual(yield* audit.movedSince(8_000_000_000_000), [])
      const head = yield* audit.head(chainNamed("other"))
      assert.deepStrictEqual([head.seq, head.atMs, head.hash], [1, 1_780_000_000_000, other.row.hash])
    }).pipe(inStore)
  )

  it.live("every chain that has rows is named, past the end of a page (AUD-14)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const names = Array.from({ length: 2001 }, (_, n) => `many-${`${n}`.padStart(4, "0")}`)
      yield* Effect.forEach(names, (name) => audit.append(draft(name)), { concurrency: "unbounded", discard: true })
      yield* audit.append(draft("many-1999"))
      const moved = yield* audit.movedSince(0)
      assert.deepStrictEqual(
        moved,
        names.map((name) => ({ chain: chainNamed(name), seq: name === "many-1999" ? 2 : 1 }))
      )
    }).pipe(inStore)
  )

  it.live("odd numbers in a question give an answer, not a defect (AUD-14)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      yield* times(3, () => audit.append(draft("c")))
      const count = (query: Parameters<(typeof audit)["find"]>[0]) =>
        Effect.map(audit.find(query), (rows) => rows.length)
      assert.strictEqual(yield* count({ fromMs: -1, toMs: Number.POSITIVE_INFINITY, limit: 1e12 }), 3)
      assert.strictEqual(yield* count({ limit: 1.9 }), 1)
      assert.strictEqual(yield* count({ limit: Number.NaN }), 0)
      assert.strictEqual(yield* count({ limit: -5 }), 0)
      assert.strictEqual(yield* count({ kinds: [] }), 0)
      const rows = yield* Stream.runCollect(
        audit.rows(chainNamed("c"), { fromSeq: -7, toSeq: Number.POSITIVE_INFINITY })
      )
      assert.strictEqual(rows.length, 3)
      assert.strictEqual((yield* audit.heads(null, Number.POSITIVE_INFINITY)).length, 1)
    }).pipe(inStore)
  )

  it.live("time never runs backwards in a chain (A-28)", () =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      yield* audit.append(draft("c", { atMs: 2000 }))
      assert.strictEqual((yield* audit.append(draft("c", { atMs: 1000 }))).row.atMs, 2000)
      assert.strictEqual(sealAll([draft("c", { atMs: 1000 })])[0]?.atMs, 1000)
    }).pipe(inStore)
  )

  it.live("the deployment id is made by the first migration and stays (DEC-09)", () =>
    Effect.gen(function* () {
      const { deploymentId } = yield* Database.Database
      const id = yield* deploymentId
      assert.match(id, /^[0-9a-f-]{36}$/)
      assert.strictEqual(yield* deploymentId, id)
    }).pipe(inStore)
  )
})
