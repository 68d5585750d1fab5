import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as ReaderStore from "../../src/layers/postgres/ReaderStore.ts"
import * as ReaderStoreSuite from "../../src/testing/ReaderStoreSuite.ts"
import { databaseClock } from "../../src/testing/StoreSet.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))

/** Chains that are long enough: a cursor cannot be beyond its chain. */
const chains = Layer.effectDiscard(
  SqlClient.SqlClient.use((sql) =>
    sql.unsafe(`INSERT INTO governance_audit_chain_heads (chain, seq, hash, at_ms, prev_seq, moved_at)
      SELECT 'agent:' || u, 1000, sha256('x'), 0, 0, now() FROM unnest(ARRAY['x', 'y', 'c', 'B', 'a', 'ä', 'a b', 'a-b']) AS u`)
  )
).pipe(Layer.provide(layerSql("owner")))

ReaderStoreSuite.suite(
  "Postgres",
  Layer.merge(ReaderStore.layer.pipe(Layer.provide(database)), chains).pipe(Layer.provide(freshDatabase)),
  databaseClock
)

layer(layerSql("app").pipe(Layer.provide(freshDatabase)), { excludeTestServices: true })(
  "The tables of readers",
  (it) => {
    it.effect("the runtime role writes them through their functions alone (A-17)", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const attempts = [
          "INSERT INTO governance_readers VALUES ('r', 'h', 1, now(), true)",
          "UPDATE governance_readers SET epoch = 0",
          "INSERT INTO governance_reader_cursors VALUES ('agent:a', 'r', 1)",
          "UPDATE governance_reader_cursors SET seq = 0",
          "DELETE FROM governance_reader_cursors"
        ]
        for (const attempt of attempts) {
          assert.include(`${(yield* Effect.flip(sql.unsafe(attempt))).reason.cause}`, "permission denied", attempt)
        }
        assert.deepStrictEqual(yield* sql.unsafe("SELECT * FROM governance_reader_cursors"), [])
      })
    )
  }
)
