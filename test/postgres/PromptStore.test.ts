import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as PromptStorePg from "../../src/layers/postgres/PromptStore.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import * as StoreTransaction from "../../src/layers/postgres/StoreTransaction.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as PromptStoreSuite from "../../src/testing/PromptStoreSuite.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const stores = Layer.unwrap(
  Effect.map(TestDatabase, ({ appUrl }) =>
    Layer.mergeAll(PromptStorePg.layer, StoreTransaction.layer).pipe(Layer.provide(Database.layerFromUrl(appUrl)))
  )
)

PromptStoreSuite.suite("postgres", Layer.merge(stores.pipe(Layer.provide(freshDatabase)), ChainKeys.layerTest), {
  clock: "database"
})

const run = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).unprepared)
const code = (text: string) => Effect.map(Effect.flip(run(text)), sqlState)
const as = (role: "owner" | "app" | "admin") => Effect.provide(layerSql(role), { local: true })

const content = '"text"'
const version = "encode(sha256(convert_to('effect-governance/prompt/v1/hash' || chr(10) || '\"text\"', 'UTF8')), 'hex')"
const filled = Effect.gen(function* () {
  yield* run(`SELECT governance_register_prompt('p', ${version}, '${content}', 'ada')`)
  yield* run(`SELECT r_outcome FROM governance_activate_prompt('p', ${version}, 'ada')`)
})
const changes = ["governance_prompt_versions", "governance_prompt_activations"].flatMap((table) => [
  `UPDATE ${table} SET version = version`,
  `DELETE FROM ${table}`,
  `TRUNCATE ${table}`
])

describe("the prompt tables", () => {
  it.live("let the runtime role do nothing but read and call (DEC-16, A-17)", () =>
    Effect.gen(function* () {
      yield* filled
      for (const table of ["governance_prompts", "governance_prompt_versions", "governance_prompt_activations"]) {
        yield* run(`SELECT * FROM ${table}`)
        for (const change of [`UPDATE ${table} SET name = name`, `DELETE FROM ${table}`, `TRUNCATE ${table}`]) {
          assert.strictEqual(yield* code(change), "42501", change)
        }
      }
    }).pipe(as("app"), Effect.provide(freshDatabase, { local: true }))
  )

  it.live("refuse every change of a version or an activation, by a superuser in replica mode too (A-18, A-19)", () =>
    Effect.gen(function* () {
      yield* as("app")(filled)
      yield* as("admin")(
        Effect.gen(function* () {
          for (const change of changes) {
            assert.strictEqual(yield* code(change), "GV003", change)
            assert.strictEqual(
              yield* code(`DO $$ BEGIN SET LOCAL session_replication_role = replica; ${change}; END $$`),
              "GV003",
              change
            )
          }
        })
      )
    }).pipe(Effect.provide(freshDatabase, { local: true }))
  )

  it.live("take no content under another name than its hash (V8-10)", () =>
    Effect.gen(function* () {
      const wrong = `SELECT governance_register_prompt('p', repeat('0', 64), '${content}', 'ada')`
      assert.strictEqual(yield* code(wrong), "23514")
      const [row] = yield* SqlClient.SqlClient.use(
        (sql) => sql.unsafe("SELECT count(*) FROM governance_prompts").values
      )
      assert.strictEqual(Number(row?.[0]), 0)
    }).pipe(as("app"), Effect.provide(freshDatabase, { local: true }))
  )
})
