import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { APP_ROLE, type Credentials, DATABASE, OWNER_ROLE, SUPER_ROLE } from "./ConnectionFile.ts"

/** Succeeds when the server really answers a query of the runtime role: a port that is open proves nothing. */
export const probe = (port: number, credentials: Credentials) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1`).pipe(
    Effect.provide(
      PgClient.layer({
        url: Redacted.make(serverUrl("app", port, credentials)),
        maxConnections: 1,
        connectTimeout: "2 seconds"
      })
    ),
    Effect.timeout("3 seconds"),
    Effect.asVoid
  )

export type Role = keyof Credentials

export const serverUrl = (role: Role, port: number, credentials: Credentials): string =>
  `postgres://${ROLE_NAMES[role]}:${credentials[role]}@127.0.0.1:${port}/${DATABASE}`

const ROLE_NAMES: Record<Role, string> = { superuser: SUPER_ROLE, owner: OWNER_ROLE, app: APP_ROLE }
