import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as BridgeStateStore from "../../src/layers/postgres/BridgeStateStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import * as BridgeStateStoreSuite from "../../src/testing/BridgeStateStoreSuite.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))

BridgeStateStoreSuite.suite(
  "Postgres",
  BridgeStateStore.layer.pipe(Layer.provide(database), Layer.provide(freshDatabase)),
  { live: true }
)

layer(Layer.provideMerge(layerSql("app"), freshDatabase), { excludeTestServices: true })(
  "The table of the bridge",
  (it) => {
    it.effect("the runtime role writes it through its functions alone (A-17)", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        for (const text of ["DELETE FROM governance_bridge_state", "UPDATE governance_bridge_state SET next_seq = 1"]) {
          assert.strictEqual(yield* Effect.map(Effect.flip(sql.unsafe(text)), sqlState), "42501", text)
        }
      })
    )
  }
)
