import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import * as AgentKeyStore from "../../src/layers/postgres/AgentKeyStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import * as StoreTransaction from "../../src/layers/postgres/StoreTransaction.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { AgentKeyStore as Keys } from "../../src/services/AgentKeyStore.ts"
import { AgentKeys } from "../../src/services/AgentKeys.ts"
import { Audit } from "../../src/services/Audit.ts"
import { BundleKeySource } from "../../src/services/BundleKeySource.ts"
import { Identity } from "../../src/services/Identity.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import * as AgentKeyStoreSuite from "../../src/testing/AgentKeyStoreSuite.ts"
import { anySigner } from "../identity/Keys.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))

AgentKeyStoreSuite.suite(
  "postgres",
  Layer.merge(AgentKeyStore.layer, StoreTransaction.layer).pipe(Layer.provide(database), Layer.provide(freshDatabase))
)

const run = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).unprepared)
const as = (role: "owner" | "app" | "admin") => Effect.provide(layerSql(role), { local: true })
const refusal = (text: string) => Effect.map(Effect.flip(run(text)), sqlState)
const inFresh = Effect.provide(freshDatabase, { local: true })

/** Governance as a process of its own has it. */
const processOn = (options: GovernanceOptions = {}) =>
  Effect.flatMap(TestDatabase, ({ appUrl }) =>
    Layer.build(
      Layer.fresh(
        Postgres.layer({
          databaseUrl: appUrl,
          auditSecret: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU",
          signingKeys: null,
          warnOnNoWrappers: false,
          auditDeadline: "20 seconds",
          enforcementDeadline: "20 seconds",
          ...options
        })
      )
    )
  )

const enrolled = Effect.gen(function* () {
  const signer = anySigner("clerk")
  const registry = yield* AgentKeys
  yield* registry.enrol(signer, "ada")
  return signer
})

const tables = ["governance_agent_keys", "governance_agent_key_revocations"]

describe("the registry of keys", () => {
  it.live(
    "lets the runtime role read and call two functions, and nobody change or remove a row (IDN-06, A-17, A-18)",
    () =>
      Effect.gen(function* () {
        const context = yield* processOn()
        const signer = yield* Effect.provide(enrolled, context)
        yield* Effect.provide(
          AgentKeys.use((keys) => keys.revoke(signer.fingerprint, { by: "ada", reason: "lost" })),
          context
        )
        for (const table of tables) {
          const changes = [
            `UPDATE ${table} SET fingerprint = fingerprint`,
            `DELETE FROM ${table}`,
            `TRUNCATE ${table} CASCADE`
          ]
          for (const statement of [...changes, `INSERT INTO ${table} SELECT * FROM ${table}`]) {
            assert.strictEqual(yield* as("app")(refusal(statement)), "42501", statement)
          }
          for (const statement of changes) {
            assert.strictEqual(yield* as("owner")(refusal(statement)), "GV003", statement)
            const replica = SqlClient.SqlClient.use((sql) =>
              sql.withTransaction(
                Effect.andThen(run("SET LOCAL session_replication_role = replica"), refusal(statement))
              )
            )
            assert.strictEqual(
              yield* as("admin")(Effect.catch(replica, () => refusal(statement))),
              "GV003",
              `replica: ${statement}`
            )
          }
        }
        const skipped = (seq: number) =>
          `INSERT INTO governance_agent_keys SELECT agent, ${seq}, repeat('a', 64), public_key, proof, 0 FROM governance_agent_keys`
        for (const seq of [1, 3, 99]) assert.strictEqual(yield* as("owner")(refusal(skipped(seq))), "GV007")
        const missing = `SELECT governance_revoke_agent_key(repeat('b', 64), 'x', 'x', NULL)`
        assert.strictEqual(yield* as("app")(refusal(missing)), "GV008")
        assert.lengthOf(
          yield* Effect.provide(
            Keys.use((keys) => keys.list),
            context
          ),
          1
        )
      }).pipe(Effect.scoped, inFresh)
  )

  it.live(
    "revokes nothing when the audit row cannot be written, unless the chain is not strict; then it says so (IDN-07, K-14)",
    () =>
      Effect.gen(function* () {
        const { appRole } = yield* TestDatabase
        const context = yield* processOn()
        const signer = yield* Effect.provide(enrolled, context)
        const registry = yield* Effect.provide(AgentKeys, context)
        const audit = yield* Effect.provide(Audit, context)
        const grants = [
          "EXECUTE ON FUNCTION governance_revoke_agent_key",
          "EXECUTE ON FUNCTION governance_lock_heads",
          "EXECUTE ON FUNCTION governance_append_many",
          "SELECT ON governance_agent_keys"
        ]
        const revoking = (strictChain: boolean) =>
          registry.revoke(signer.fingerprint, { by: "ada", reason: "stolen", strictChain })
        const revoked = Effect.map(registry.list, (keys) => keys[0]?.revocation ?? null)
        for (const grant of grants) {
          yield* as("owner")(run(`REVOKE ${grant} FROM "${appRole}"`))
          assert.strictEqual((yield* Effect.flip(revoking(true)))._tag, "StoreError", grant)
          yield* as("owner")(run(`GRANT ${grant} TO "${appRole}"`))
          assert.isNull(yield* revoked, grant)
        }
        yield* as("owner")(run(`REVOKE EXECUTE ON FUNCTION governance_lock_heads FROM "${appRole}"`))
        const done = yield* revoking(false)
        assert.isTrue(done.revoked)
        assert.isNull(done.key.revocation?.eventId)
        const rows = yield* audit.getEvents({
          kinds: ["identity.revocation_without_chain_event", "audit.agent_key_revocation"]
        })
        assert.deepStrictEqual(
          rows.map(({ kind }) => kind),
          ["identity.revocation_without_chain_event"]
        )
        assert.deepInclude(rows[0]?.metadata, { agent: "clerk", level: "WARN", reason: "stolen", by: "ada" })
        assert.isTrue(yield* audit.verifyChain())
      }).pipe(Effect.scoped, inFresh)
  )
})

describe("two processes", () => {
  it.live("verify each other's signatures, and a revocation in one is heeded by the other (IDN-01, IDN-06)", () =>
    Effect.gen(function* () {
      const clerk = yield* processOn({ agentKeys: { clerk: "ephemeral" }, haltCacheTtl: "50 millis" })
      const office = yield* processOn()
      const inside = Effect.provide(clerk)
      const outside = Effect.provide(office)
      const write = Audit.use((audit) => audit.log({ kind: "tool.call", agentId: "clerk" })).pipe(inside)
      yield* write
      const keys = AgentKeys.use((registry) => registry.list).pipe(outside)
      while ((yield* keys).length === 0) yield* Effect.sleep(10)
      const report = Audit.use((audit) => audit.report()).pipe(outside)
      const before = yield* report
      assert.deepStrictEqual([before.verdict, before.signatures?.signed], ["ok", 1])
      const [key] = yield* keys
      yield* AgentKeys.use((registry) => registry.revoke(key!.fingerprint, { by: "ada", reason: "drill" })).pipe(
        outside
      )
      // From here on the process may sign until it looks again; those rows count as breaks, by design.
      const signs = Effect.map(write, ({ signatureStatus }) => signatureStatus === "signed")
      while (yield* signs) yield* Effect.sleep(20)
      const after = yield* report
      assert.strictEqual(after.signatures?.signed, 1)
      assert.isAbove(after.signatures?.unsigned_local_failure ?? 0, 0)
      assert.isTrue(after.breaks.every(({ problem }) => problem === "revokedKey"))
      assert.strictEqual(after.breaks.length, after.signatures?.revoked_key ?? 0)
    }).pipe(Effect.scoped, inFresh)
  )

  it.live("a revocation that is taken out of the registry by SQL, or dated later, is known from the log (IDN-06)", () =>
    Effect.gen(function* () {
      const clerk = yield* processOn({ agentKeys: { clerk: "ephemeral" }, haltCacheTtl: "10 minutes" })
      const office = yield* processOn()
      // The thief of the key signs in a process that never hears of the revocation.
      const thief = yield* Effect.provide(Identity, clerk)
      const write = Audit.use((audit) => audit.log({ kind: "tool.call", agentId: "clerk" })).pipe(Effect.provide(clerk))
      yield* write
      const registry = yield* Effect.provide(AgentKeys, office)
      const own = thief.signers()[0]!.fingerprint
      while (!(yield* registry.list).some(({ fingerprint }) => fingerprint === own)) yield* Effect.sleep(10)
      yield* registry.revoke(own, { by: "ada", reason: "stolen" })
      yield* Effect.sleep(5)
      yield* write
      const found = Audit.use((audit) => audit.report()).pipe(
        Effect.provide(office),
        Effect.map(({ breaks }) => breaks.map(({ chain, problem, seq }) => [chain, seq, problem]))
      )
      const expected = [["agent:clerk", 2, "revokedKey"]]
      assert.deepStrictEqual(yield* found, expected)
      const keysOfBundle = BundleKeySource.use((source) => source.agentKeys).pipe(
        Effect.provide(office),
        Effect.map((keys) => keys.find(({ fingerprint }) => fingerprint === own)?.revokedAtMs)
      )
      const revokedAt = yield* keysOfBundle
      const table = "governance_agent_key_revocations"
      for (const change of [`UPDATE ${table} SET revoked_at_ms = revoked_at_ms + 1000000`, `DELETE FROM ${table}`]) {
        yield* as("admin")(Effect.andThen(run(`ALTER TABLE ${table} DISABLE TRIGGER ALL`), run(change)))
        assert.deepStrictEqual(yield* found, expected, change)
        assert.strictEqual(yield* keysOfBundle, revokedAt, change)
      }
    }).pipe(Effect.scoped, inFresh)
  )

  it.live("an event that waited on disk for the database is signed when it gets there (V8-11, JSL-02)", () =>
    Effect.gen(function* () {
      const { appRole } = yield* TestDatabase
      const fallbackDir = mkdtempSync(join(tmpdir(), "effect-governance-spool-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(fallbackDir, { recursive: true, force: true })))
      const context = yield* processOn({ agentKeys: { clerk: "ephemeral" }, fallbackDir, testMode: false })
      const audit = yield* Effect.provide(Audit, context)
      const append = "EXECUTE ON FUNCTION governance_append_many"
      yield* as("owner")(run(`REVOKE ${append} FROM "${appRole}"`))
      for (let n = 0; n < 5; n++) {
        const record = yield* audit.log({ kind: "tool.call", agentId: "clerk", metadata: { n } })
        assert.strictEqual(record.status, "spooled")
      }
      assert.isNotEmpty(readdirSync(fallbackDir).filter((name) => name.endsWith(".jsonl")))
      yield* as("owner")(run(`GRANT ${append} TO "${appRole}"`))
      while ((yield* audit.stats).replayed < 5) yield* Effect.sleep(20)
      const rows = yield* audit.getEvents({ agentId: AgentId.make("clerk") })
      assert.lengthOf(rows, 5)
      assert.isTrue(
        rows.every(({ delayedSince, signatureStatus }) => delayedSince !== null && signatureStatus === "signed")
      )
      const other = yield* processOn()
      const keys = Keys.use((store) => store.list).pipe(Effect.provide(other))
      while ((yield* keys).length === 0) yield* Effect.sleep(10)
      const report = yield* Audit.use((its) => its.report()).pipe(Effect.provide(other))
      assert.deepStrictEqual([report.verdict, report.signatures?.signed], ["ok", 5])
    }).pipe(Effect.scoped, inFresh)
  )
})
