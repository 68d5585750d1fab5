import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import { layerSql } from "../support/database.ts"

const tables = ["leaves", "notes", "adoptions"]
  .map((name) => `governance_checkpoint_${name}`)
  .concat("governance_checkpoints")

const changes = (table: string) => [
  `UPDATE ${table} SET ${table.endsWith("leaves") ? "index = index" : "size = size"}`,
  `DELETE FROM ${table}`,
  `TRUNCATE ${table}`
]

const code = (role: "app" | "owner", text: string) =>
  SqlClient.SqlClient.use((sql) => Effect.flip(sql.unsafe(text).unprepared)).pipe(
    Effect.map((error) => ({ role, text, code: sqlState(error) })),
    Effect.provide(layerSql(role), { local: true })
  )

/** What each role is answered that changes what it must not. */
export const attempts = Effect.forEach(
  tables.flatMap((table) => [
    // A row trigger needs a row: what no test wrote to cannot be refused by it.
    ...(table.endsWith("adoptions") ? [] : changes(table).map((text) => ["owner", text] as const)),
    ...(table.endsWith("adoptions") ? [["owner", `TRUNCATE ${table}`] as const] : []),
    ...[
      ...changes(table),
      `INSERT INTO ${table} SELECT * FROM ${table} LIMIT 0`,
      `DROP TRIGGER governance_append_only_row ON ${table}`
    ].map((text) => ["app", text] as const)
  ]),
  ([role, text]) => code(role, text)
)
