import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import { examine } from "../../src/layers/postgres/Doctor.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import { ChainId } from "../../src/schema/Ids.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { ChainKeys } from "../../src/services/ChainKeys.ts"
import { CheckpointStore } from "../../src/services/CheckpointStore.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { LegalHolds } from "../../src/services/LegalHolds.ts"
import { Retention } from "../../src/services/Retention.ts"
import { RetentionStore } from "../../src/services/RetentionStore.ts"
import { reseal } from "../checkpoints/World.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const secret = "38b8b53befc08b03be1298b72c8efc894e319d11d3b30e4ea1bd8970e33da504"
const run = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).unprepared)
const code = (text: string) => Effect.map(Effect.flip(run(text)), sqlState)
const as = (role: "owner" | "app" | "admin") => Effect.provide(layerSql(role), { local: true })
const inFresh = Effect.provide(freshDatabase, { local: true })
const governance = (role: "owner" | "app") =>
  Effect.provide(
    Layer.unwrap(
      Effect.map(TestDatabase, ({ appUrl, ownerUrl }) =>
        Postgres.layer({
          databaseUrl: role === "owner" ? ownerUrl : appUrl,
          auditSecret: secret,
          testMode: true,
          warnOnNoWrappers: false
        })
      )
    ),
    { local: true }
  )

/** What only a superuser can do who switches the protection off first. */
const tamper = (statement: string) =>
  Effect.gen(function* () {
    yield* run("ALTER TABLE governance_audit_events DISABLE TRIGGER USER")
    yield* run(statement)
    yield* run("ALTER TABLE governance_audit_events ENABLE ALWAYS TRIGGER governance_append_only_row")
    yield* run("ALTER TABLE governance_audit_events ENABLE ALWAYS TRIGGER governance_append_only_truncate")
  }).pipe(as("admin"))

const log = (count: number) =>
  Audit.use((audit) =>
    Effect.forEach(
      Array.from({ length: count }, (_, n) => n),
      (n) => audit.require({ kind: "step", agentId: "clerk", sessionId: "s1", metadata: { n } })
    )
  ).pipe(Effect.tap(Effect.sleep(5)))

const prune = (archive?: () => Effect.Effect<void, "cut off">) =>
  Retention.use((retention) =>
    retention.prune({
      olderThan: Duration.millis(1),
      chain: "session:s1",
      by: "ann",
      allowShorter: true,
      archive
    })
  )

const breaks = Audit.use((audit) =>
  Effect.map(audit.report({ chain: "session:s1" }), (report) => [
    report.verdict,
    ...report.breaks.map(({ problem, seq }) => `${seq} ${problem}`)
  ])
)

describe("a pruned log", () => {
  it.live("accuses whoever deletes a row without a seal, after a sealed part was pruned (A-29)", () =>
    Effect.gen(function* () {
      yield* log(3)
      yield* prune()
      yield* log(4)
      assert.deepStrictEqual(yield* breaks, ["ok"])
      yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:s1' AND seq = 5")
      assert.deepStrictEqual(yield* breaks, ["tampered", "6 gap", "6 link"])
      yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:s1' AND seq = 4")
      assert.deepStrictEqual(yield* breaks, ["tampered", "6 gap", "6 link"])
      yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:s1'")
      assert.deepStrictEqual((yield* breaks)[0], "tampered")
    }).pipe(governance("owner"), inFresh)
  )

  it.live("verifies in any part, gone or left, and misses what is gone without a seal in each (A-25, A-29)", () =>
    Effect.gen(function* () {
      const parts = Array.from({ length: 7 }, (_, i) => i + 1).flatMap((fromSeq) =>
        Array.from({ length: 8 - fromSeq }, (_, i) => ({ fromSeq, toSeq: fromSeq + i }))
      )
      const failing = Audit.use((audit) =>
        Effect.filter(parts, (part) =>
          audit
            .verifyChain({ chain: "session:s1", ...part })
            .pipe(Effect.match({ onFailure: () => true, onSuccess: () => false }))
        )
      )
      yield* log(3)
      yield* prune()
      assert.isTrue(yield* Audit.use((audit) => audit.verifyChain({ chain: "session:s1", fromSeq: 2 })))
      yield* log(4)
      assert.deepStrictEqual(yield* failing, [])
      yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:s1' AND seq BETWEEN 4 AND 5")
      // Whoever asks for row 6 is told as well: the row before it is gone.
      assert.deepStrictEqual(
        yield* failing,
        parts.filter(({ fromSeq, toSeq }) => toSeq >= 4 && fromSeq <= 6)
      )
    }).pipe(governance("owner"), inFresh)
  )

  it.live(
    "excuses nothing by a seal that nobody pruned under, or whose rows in chain operator were touched (A-29)",
    () =>
      Effect.gen(function* () {
        yield* log(3)
        yield* Effect.flip(prune(() => Effect.fail("cut off")))
        yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:s1' AND seq <= 3")
        assert.deepStrictEqual(yield* breaks, ["tampered", "1 head"])
        yield* tamper("UPDATE governance_audit_chain_heads SET seq = 0, hash = NULL WHERE chain = 'session:s1'")
        assert.strictEqual((yield* Audit.use((audit) => audit.report())).verdict, "ok")
      }).pipe(governance("owner"), inFresh)
  )

  for (const [name, statement] of [
    ["seal is gone", "DELETE FROM governance_audit_events WHERE kind = 'audit.segment_sealed'"],
    ["record of the pruning is gone", "DELETE FROM governance_audit_events WHERE kind = 'audit.segment_pruned'"],
    [
      "seal says another range",
      `UPDATE governance_audit_events SET canonical = replace(canonical, '"toSeq":3', '"toSeq":4') WHERE chain = 'operator'`
    ],
    [
      "seal was forged without the key",
      "UPDATE governance_audit_events SET hmac = decode(repeat('00', 32), 'hex') WHERE kind = 'audit.segment_sealed'"
    ]
  ] as const) {
    it.live(`is tampered with when its ${name} (A-29)`, () =>
      Effect.gen(function* () {
        yield* log(3)
        yield* prune()
        yield* log(1)
        assert.deepStrictEqual(yield* breaks, ["ok"])
        yield* tamper(statement)
        assert.deepStrictEqual(yield* breaks, ["tampered", "4 gap", "4 link"])
      }).pipe(governance("owner"), inFresh)
    )
  }

  it.live("will not seal rows that do not verify, since a seal would hide it (A-29)", () =>
    Effect.gen(function* () {
      yield* log(3)
      yield* tamper("UPDATE governance_audit_events SET canonical = replace(canonical, 'clerk', 'clark') WHERE seq = 2")
      const { pruned, refused } = yield* prune()
      assert.deepStrictEqual([pruned.length, refused.map(({ problem }) => problem)], [0, ["tampered"]])
      assert.strictEqual(yield* RetentionStore.use((store) => store.unpruned(ChainId.make("session:s1"))), null)
    }).pipe(governance("owner"), inFresh)
  )
})

describe("a seal where checkpoints are made", () => {
  const checkpointKey = "4f8d1e7a".repeat(8)
  const signing = (key: string) =>
    Effect.provide(
      Layer.unwrap(
        Effect.map(TestDatabase, ({ ownerUrl }) =>
          Postgres.layer({ databaseUrl: ownerUrl, auditSecret: secret, checkpointKey: key, testMode: true })
        )
      ),
      { local: true }
    )
  const examined = Checkpoints.use((checkpoints) => checkpoints.examine())

  it.live(
    "is in a signed one before its rows go; log and checkpoints then say the same of the range (BEY-04, A-29)",
    () =>
      Effect.gen(function* () {
        yield* log(3)
        yield* Checkpoints.use(({ make }) => make)
        const { pruned, waiting } = yield* prune()
        assert.deepStrictEqual([pruned.map(({ rows }) => rows), waiting], [[3], []])
        const covering = yield* Checkpoints.use(({ latest }) => latest)
        const leaves = yield* CheckpointStore.use((store) => store.leaves(0, covering?.size ?? 0))
        assert.isTrue(leaves.some(({ chain, seq }) => chain === "operator" && seq === 1))
        assert.deepStrictEqual(yield* breaks, ["ok"])
        const report = yield* Audit.use((audit) => audit.report({ chain: "session:s1" }))
        assert.deepStrictEqual(report.chains[0]?.pruned, { toSeq: 3, sealSeq: 1 })
        assert.deepInclude(yield* examined, { verdict: "ok", findings: [] })
        // What lies behind the range goes on to be covered, and to be missed.
        yield* log(2)
        yield* Checkpoints.use(({ make }) => make)
        assert.deepInclude(yield* examined, { verdict: "ok", findings: [] })
        yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:s1' AND seq = 5")
        assert.strictEqual((yield* examined).verdict, "shorter")
      }).pipe(signing(checkpointKey), inFresh)
  )

  it.live("waits, and no row goes, where no checkpoint may be signed; under the same seal they go later (A-29)", () =>
    Effect.gen(function* () {
      yield* Effect.andThen(
        log(3),
        Checkpoints.use(({ make }) => make)
      ).pipe(signing(checkpointKey))
      const waited = yield* prune().pipe(signing("77".repeat(32)))
      assert.deepStrictEqual([waited.pruned.length, waited.waiting.length, waited.refused.length], [0, 1, 0])
      assert.deepStrictEqual(
        yield* run("SELECT count(*)::int AS n FROM governance_audit_events WHERE session = 's1'").pipe(as("owner")),
        [{ n: 3 }]
      )
      const went = yield* prune().pipe(signing(checkpointKey))
      assert.deepStrictEqual(
        went.pruned.map(({ seal }) => seal),
        waited.waiting.map(({ seal }) => seal)
      )
    }).pipe(inFresh)
  )
})

describe("rows that were written anew with the stolen audit secret", () => {
  const checkpointKey = "4f8d1e7a".repeat(8)
  const here = Effect.provide(
    Layer.unwrap(
      Effect.map(TestDatabase, ({ ownerUrl }) =>
        Postgres.layer({ databaseUrl: ownerUrl, auditSecret: secret, checkpointKey, testMode: true })
      )
    ),
    { local: true }
  )
  const examined = Checkpoints.use((checkpoints) => checkpoints.examine())
  const rewrite = Effect.gen(function* () {
    yield* reseal(yield* AuditStore, "s1", 1, (yield* ChainKeys).current)
  })

  it.live("are kept by prune, which would take away what shows it; the rest goes (K-08, A-29)", () =>
    Effect.gen(function* () {
      yield* log(3)
      yield* Audit.use((audit) => audit.require({ kind: "step", agentId: "clerk", sessionId: "s2" }))
      yield* Effect.sleep(5)
      yield* Checkpoints.use(({ make }) => make)
      yield* rewrite
      assert.deepStrictEqual(yield* breaks, ["ok"])
      const pruning = Retention.use((retention) =>
        retention.prune({ olderThan: Duration.millis(1), by: "ann", allowShorter: true })
      )
      // Nobody signs on, so what is sealed waits; who has no key waits for nobody.
      const withKey = yield* pruning
      const without = yield* pruning.pipe(governance("owner"))
      for (const { refused } of [withKey, without]) {
        assert.deepStrictEqual(
          refused.map(({ chain, problem }) => [chain, problem]),
          [["session:s1", "tampered"]]
        )
      }
      const chainsOf = (segments: ReadonlyArray<{ readonly chain: string }>) => segments.map(({ chain }) => chain)
      assert.deepStrictEqual([chainsOf(withKey.pruned), chainsOf(withKey.waiting)], [[], ["session:s2"]])
      assert.deepStrictEqual([chainsOf(without.pruned), chainsOf(without.waiting)], [["session:s2"], []])
      const { findings, verdict } = yield* examined
      assert.strictEqual(verdict, "rewritten")
      assert.deepInclude(findings[0], { chain: "session:s1", seq: 3 })
    }).pipe(here, inFresh)
  )
})

describe("the way past the append-only triggers", () => {
  it.live("forgets no key of a subject that a hold stands on, whoever calls the function (A-30, CMP-15)", () =>
    Effect.gen(function* () {
      yield* LegalHolds.use((holds) => holds.set({ scope: "subject", name: "anna", by: "ann", reason: "case" }))
      for (const role of ["app", "owner"] as const) {
        assert.strictEqual(yield* as(role)(code("SELECT governance_erase_subject('anna')")), "GV011")
      }
    }).pipe(governance("app"), inFresh)
  )

  it.live("is closed to the runtime role, which can neither seal nor prune nor release (A-17, A-29)", () =>
    Effect.gen(function* () {
      yield* log(3)
      const { pruned, refused } = yield* prune()
      assert.deepStrictEqual([pruned.length, refused.map(({ problem }) => problem)], [0, ["notOwner"]])
      const holds = yield* LegalHolds
      const order = { scope: "session", name: "s1", by: "ann", reason: "case" } as const
      assert.isTrue(yield* holds.set(order))
      assert.deepInclude(yield* Effect.flip(holds.release(order)), { _tag: "RetentionRefused", problem: "notOwner" })
      for (const statement of [
        "SELECT governance_prune_segment('session:s1', 1, interval '0')",
        "SELECT governance_seal_segment('session:s1', 1, 3, NULL, '\\x00', '\\x00', gen_random_uuid())",
        "SELECT governance_release_hold('session', 's1')",
        "INSERT INTO governance_retention_segments (chain, from_seq, to_seq, last_hash, root, seal, state) VALUES ('session:s1', 1, 3, '\\x00', '\\x00', gen_random_uuid(), 'pruning')",
        "DELETE FROM governance_legal_holds",
        "UPDATE governance_subject_keys SET subject = 'x'",
        "DELETE FROM governance_audit_events WHERE chain = 'session:s1'"
      ]) {
        assert.strictEqual(yield* as("app")(code(statement)), "42501", statement)
      }
    }).pipe(governance("app"), inFresh)
  )

  it.live(
    "lets even a role with EXECUTE delete only what is sealed, linked, unheld and older than 183 days (CMP-15)",
    () =>
      Effect.gen(function* () {
        const { appRole } = yield* TestDatabase
        yield* as("owner")(run(`GRANT EXECUTE ON FUNCTION governance_prune_segment TO ${appRole}`))
        yield* log(3)
        const call = (age: string) =>
          as("app")(code(`SELECT governance_prune_segment('session:s1', 1, interval '${age}')`))
        assert.strictEqual(yield* call("200 days"), "GV010")
        yield* Effect.flip(prune(() => Effect.fail("cut off")))
        assert.strictEqual(yield* call("200 days"), "GV012")
        assert.strictEqual(yield* call("0"), "GV012")
        yield* tamper("UPDATE governance_audit_events SET recorded_at = recorded_at - interval '190 days'")
        assert.strictEqual(yield* call("1 day"), "GV012")
        yield* LegalHolds.use((holds) => holds.set({ scope: "agent", name: "clerk", by: "ann", reason: "case" }))
        assert.strictEqual(yield* call("184 days"), "GV011")
        yield* LegalHolds.use((holds) => holds.release({ scope: "agent", name: "clerk", by: "ann", reason: "case" }))
        yield* tamper(
          "UPDATE governance_audit_events SET prev = decode(repeat('11', 32), 'hex') WHERE chain = 'session:s1' AND seq = 2"
        )
        assert.strictEqual(yield* call("184 days"), "GV010")
        const findings = yield* as("app")(examine())
        assert.isTrue(
          findings.some(({ message, status }) => status === "warn" && message.includes("governance_prune_segment"))
        )
      }).pipe(governance("owner"), inFresh)
  )

  it.live("is no way for a DELETE of anybody's, sealed rows included, outside of the function (A-18, A-29)", () =>
    Effect.gen(function* () {
      yield* log(3)
      yield* Effect.flip(prune(() => Effect.fail("cut off")))
      const statement = "DELETE FROM governance_audit_events WHERE chain = 'session:s1'"
      assert.strictEqual(yield* as("owner")(code(statement)), "GV003")
      assert.strictEqual(yield* as("admin")(code(statement)), "GV003")
      yield* as("owner")(
        run("UPDATE governance_retention_segments SET state = 'pruning', pruner = pg_current_xact_id()")
      )
      assert.strictEqual(yield* as("owner")(code(statement)), "GV003")
      assert.strictEqual(yield* as("owner")(code("UPDATE governance_audit_events SET kind = 'x'")), "GV003")
      assert.strictEqual(yield* as("owner")(code("TRUNCATE governance_audit_events")), "GV003")
    }).pipe(governance("owner"), inFresh)
  )
})
