import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as AuditStorePg from "../../src/layers/postgres/AuditStore.ts"
import * as ChainKeyStorePg from "../../src/layers/postgres/ChainKeyStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as SqlFailure from "../../src/layers/postgres/SqlFailure.ts"
import * as StoreTransaction from "../../src/layers/postgres/StoreTransaction.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { ChainKeyStore } from "../../src/services/ChainKeyStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as ChainKeyStoreSuite from "../../src/testing/ChainKeyStoreSuite.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { draft } from "./AuditRows.ts"

// The owner's connection: the runtime role may not rotate.
const database = Layer.unwrap(Effect.map(TestDatabase, ({ ownerUrl }) => Database.layerFromUrl(ownerUrl)))
const stores = Layer.merge(ChainKeyStorePg.layer, StoreTransaction.layer).pipe(Layer.provide(database))

ChainKeyStoreSuite.suite("Postgres", Layer.provide(stores, freshDatabase))

const first = { keyId: "1".repeat(32), fingerprint: "1".repeat(64) }
const insert = `INSERT INTO governance_audit_chain_keys (version, key_id, fingerprint)
  VALUES (1, '${first.keyId}', '${first.fingerprint}')`

describe("the registry of keys in Postgres", () => {
  it.live("can be changed by nobody: not by the runtime role, and not by its owner (ROT-02)", () =>
    Effect.gen(function* () {
      const as = (role: "app" | "owner" | "admin", text: string) =>
        Effect.provide(
          SqlClient.SqlClient.use((sql) => sql.unsafe(text)),
          layerSql(role),
          { local: true }
        )
      assert.strictEqual(SqlFailure.sqlState(yield* Effect.flip(as("app", insert))), "42501")
      yield* as("admin", insert)
      for (const change of [
        "UPDATE governance_audit_chain_keys SET handover = 'x'",
        "DELETE FROM governance_audit_chain_keys",
        "TRUNCATE governance_audit_chain_keys"
      ]) {
        assert.strictEqual(SqlFailure.sqlState(yield* Effect.flip(as("app", change))), "42501", change)
        assert.strictEqual(SqlFailure.sqlState(yield* Effect.flip(as("owner", change))), "GV003", change)
        const replicating = as("admin", `DO $$ BEGIN SET LOCAL session_replication_role = replica; ${change}; END $$`)
        assert.strictEqual(SqlFailure.sqlState(yield* Effect.flip(replicating)), "GV003", change)
      }
    }).pipe(Effect.provide(freshDatabase, { local: true }))
  )

  it.live("takes no first key that the rows of an older log disagree with (A-05)", () =>
    Effect.gen(function* () {
      const store = yield* ChainKeyStore
      const { current, fingerprint } = yield* ChainKeys.ChainKeys
      yield* AuditStore.use((log) => log.append(draft("one")))
      const foreign = {
        keyId: current.keyId.replaceAll(/./g, "0") as typeof current.keyId,
        fingerprint: "0".repeat(64)
      }
      assert.isFalse(yield* store.begin({ ...foreign, known: [foreign.keyId] }))
      assert.isTrue(yield* store.begin({ keyId: current.keyId, fingerprint, known: [current.keyId] }))
    }).pipe(
      Effect.provide(
        Layer.mergeAll(AuditStorePg.layer, ChainKeyStorePg.layer).pipe(
          Layer.provide(database),
          Layer.provideMerge(ChainKeys.layerTest),
          Layer.provideMerge(freshDatabase)
        ),
        { local: true }
      )
    )
  )
})
