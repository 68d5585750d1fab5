import { Effect, Layer } from "effect"
import type { SqlClient } from "effect/sql"
import { Database } from "../../src/layers/postgres/Database.ts"
import { stores } from "./Stores.ts"

/** Those that have a workspace, parents first. */
export const tenantTables = [
  "workspaces",
  "members",
  "workflows",
  "tokens",
  "senders",
  "events",
  "event_conflicts",
  "forwarded_gates",
  "witnessed",
  "witnessed_chains",
  "witness_alarms",
  "witness_adoptions"
]

/** What was said to the database, and how many statements were changed. */
export interface Said {
  readonly texts: Set<string>
  changed: number
}

/** The stores over statements that `change` has rewritten. */
export const rewritten = (said: Said, change: (text: string) => string) =>
  stores.pipe(
    Layer.provide(
      Layer.effect(
        Database,
        Effect.map(Database, (database) =>
          Database.of({
            ...database,
            sql: new Proxy(database.sql, {
              get: (target, key) => {
                if (key !== "unsafe") return Reflect.get(target, key)
                const unsafe: SqlClient.SqlClient["unsafe"] = (text, params) => {
                  const other = change(text)
                  said.texts.add(text)
                  if (other !== text) said.changed++
                  return target.unsafe(other, params)
                }
                return unsafe
              }
            })
          })
        )
      )
    )
  )

/** A statement that forgets to ask for its own workspace. */
export const forgetful = (text: string): string =>
  text.startsWith("SELECT set_config") ? text : text.replaceAll(/(?:\b\w\.)?\bworkspace = \$1/g, "$1::text IS NOT NULL")
