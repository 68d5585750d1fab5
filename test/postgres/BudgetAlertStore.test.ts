import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as BudgetAlertStore from "../../src/layers/postgres/BudgetAlertStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import * as BudgetAlertStoreSuite from "../../src/testing/BudgetAlertStoreSuite.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))

BudgetAlertStoreSuite.suite(
  "Postgres",
  BudgetAlertStore.layer.pipe(Layer.provide(database), Layer.provide(freshDatabase)),
  { live: true }
)

layer(Layer.provideMerge(layerSql("app"), freshDatabase), { excludeTestServices: true })(
  "The table of alerts that were sent",
  (it) => {
    it.effect("the runtime role writes it through its function alone, which wants a day (A-17)", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const refused = (text: string) => Effect.map(Effect.flip(sql.unsafe(text)), sqlState)
        for (const text of [
          "INSERT INTO governance_webhook_dedup VALUES ('a', 'perSessionUsd', 'd:2026-11-21', now())",
          "DELETE FROM governance_webhook_dedup",
          "UPDATE governance_webhook_dedup SET at = now()"
        ]) {
          assert.strictEqual(yield* refused(text), "42501", text)
        }
        assert.strictEqual(yield* refused("SELECT governance_claim_alert('a', 'perSessionUsd', 'x', NULL)"), "22023")
      })
    )

    it.effect("forgets what is older than 40 days when something new is sent, so it does not grow for ever", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const claim = (day: string) =>
          sql.unsafe(`SELECT governance_claim_alert('old', 'perSessionUsd', '${day}', 's')`)
        yield* claim("2026-01-01")
        yield* SqlClient.SqlClient.use((owner) =>
          owner.unsafe("UPDATE governance_webhook_dedup SET at = now() - interval '41 days' WHERE agent = 'old'")
        ).pipe(Effect.provide(layerSql("owner")))
        yield* sql.unsafe("SELECT governance_claim_alert('old', 'perSessionUsd', '2026-02-15', 't')")
        const left = yield* sql.unsafe("SELECT scope FROM governance_webhook_dedup WHERE agent = 'old' ORDER BY scope")
        assert.deepStrictEqual(
          left.map((row) => Reflect.get(row, "scope")),
          ["d:2026-02-15", "s:t"]
        )
      })
    )
  }
)
