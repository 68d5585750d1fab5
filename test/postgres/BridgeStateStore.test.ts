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

    it.effect(
      "cannot give the sequence another instance, count from below 1, or keep what is no list of rows (A-17, V8-01)",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const open = (n: number) =>
            sql.unsafe(
              `SELECT r_instance::text AS i, r_revision AS r FROM governance_bridge_open('mine', '00000000-0000-4000-8000-00000000000${n}')`
            )
          const first = yield* open(1)
          assert.deepStrictEqual(yield* open(2), first)
          const refused = (args: string) =>
            Effect.map(Effect.flip(sql.unsafe(`SELECT governance_bridge_move('mine', 1, ${args})`)), sqlState)
          assert.strictEqual(yield* refused("0, '{}', '{}'"), "23514")
          assert.strictEqual(yield* refused("1, '{a}', '{}'"), "23514")
          assert.strictEqual(yield* refused("1, NULL, '{}'"), "23502")
          assert.strictEqual(
            yield* refused("1, array_fill('a'::text, ARRAY[1001]), array_fill(1::bigint, ARRAY[1001])"),
            "23514"
          )
          assert.deepStrictEqual(yield* open(3), first)
        })
    )
  }
)
