import { spawn } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import { Audit } from "../../src/services/Audit.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const secret = "38b8b53befc08b03be1298b72c8efc894e319d11d3b30e4ea1bd8970e33da504"
const run = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).values)
const admin = layerSql("admin", { maxConnections: 4 })
const governance = Layer.unwrap(
  Effect.map(TestDatabase, ({ ownerUrl }) =>
    Postgres.layer({ databaseUrl: ownerUrl, auditSecret: secret, testMode: true, warnOnNoWrappers: false })
  )
)

/** `governance prune` as a process of its own. */
const pruning = Effect.gen(function* () {
  const { ownerUrl } = yield* TestDatabase
  const exited = yield* Deferred.make<number | null>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const args = ["prune", "--older-than", "1s", "--all", "--allow-shorter", "--by", "ann"]
      const child = spawn(process.execPath, ["src/cli/main.ts", ...args], {
        stdio: "ignore",
        env: { GOVERNANCE_DATABASE_URL: Redacted.value(ownerUrl), GOVERNANCE_AUDIT_SECRET: secret }
      })
      child.on("close", (code) => Deferred.doneUnsafe(exited, Effect.succeed(code)))
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  return {
    exited: Deferred.await(exited),
    kill: Effect.suspend(() => {
      child.kill("SIGKILL")
      return Deferred.await(exited)
    })
  }
})

/** Keeps a lock in a transaction of its own until it is let go. */
const holding = Effect.fnUntraced(function* (statement: string) {
  const sql = yield* SqlClient.SqlClient
  const taken = yield* Deferred.make<void>()
  const letGo = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(
    sql.withTransaction(
      run(statement).pipe(Effect.andThen(Deferred.succeed(taken, undefined)), Effect.andThen(Deferred.await(letGo)))
    )
  )
  yield* Deferred.await(taken)
  return Effect.andThen(Deferred.succeed(letGo, undefined), Fiber.join(fiber))
})

const until = (text: string) =>
  Effect.gen(function* () {
    while ((yield* run(text)).length === 0) yield* Effect.sleep(10)
  })
const waitsFor = (query: string) =>
  until(
    `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%${query}%'`
  )
/** A killed client's backend notices when it has nothing to wait for any more. */
const nobodyWorks = Effect.gen(function* () {
  for (;;) {
    const busy = yield* run(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'governance%'
         AND state <> 'idle' AND wait_event_type = 'Lock'`
    )
    if (busy.length === 0) return
    yield* Effect.sleep(10)
  }
})

const state = Effect.gen(function* () {
  const audit = yield* Audit
  const report = yield* audit.report({ chain: "session:s1" })
  const [count] = yield* run("SELECT count(*)::int FROM governance_audit_events WHERE chain = 'session:s1'")
  const segments = yield* run("SELECT state::text FROM governance_retention_segments")
  const rows = yield* run("SELECT kind::text FROM governance_audit_events WHERE chain = 'operator' ORDER BY seq")
  return [report.verdict, Number(count?.[0]), segments.flat().join(), rows.flat().join()]
})

const operatorHead = "SELECT 1 FROM governance_audit_chain_heads WHERE chain = 'operator' FOR UPDATE"
const holds = "LOCK TABLE governance_legal_holds IN ROW EXCLUSIVE MODE"

describe("pruning that is killed", () => {
  it.live(
    "before its seal, between seal and deletion, or in the middle of the deletion has lost nothing, and is finished by the next run (F-15, A-29)",
    () =>
      Effect.gen(function* () {
        const audit = yield* Audit
        yield* Effect.forEach(
          Array.from({ length: 50 }, (_, n) => n),
          (n) => audit.require({ kind: "step", agentId: "clerk", sessionId: "s1", metadata: { n } }),
          { concurrency: 10 }
        )
        yield* run(
          "INSERT INTO governance_audit_chain_heads (chain, seq, at_ms, prev_seq, moved_at) VALUES ('operator', 0, 0, 0, now()) ON CONFLICT DO NOTHING"
        )
        yield* Effect.sleep(1100)

        const freeHead = yield* holding(operatorHead)
        const one = yield* pruning
        yield* waitsFor("governance_lock_heads")
        yield* one.kill
        yield* freeHead
        yield* nobodyWorks
        assert.deepStrictEqual(yield* state, ["ok", 50, "", ""])

        const freeHolds = yield* holding(holds)
        const two = yield* pruning
        yield* waitsFor("governance_prune_segment")
        yield* two.kill
        yield* freeHolds
        yield* nobodyWorks
        assert.deepStrictEqual(yield* state, ["ok", 50, "sealed", "audit.segment_sealed"])

        const freeAgain = yield* holding(operatorHead)
        const three = yield* pruning
        yield* waitsFor("governance_lock_heads")
        yield* three.kill
        yield* freeAgain
        yield* nobodyWorks
        assert.deepStrictEqual(yield* state, ["ok", 50, "sealed", "audit.segment_sealed"])

        const last = yield* pruning
        assert.strictEqual(yield* last.exited, 0)
        assert.deepStrictEqual(yield* state, ["ok", 0, "pruned", "audit.segment_sealed,audit.segment_pruned"])
      }).pipe(Effect.provide(Layer.mergeAll(governance, admin)), Effect.provide(freshDatabase)),
    120_000
  )
})
