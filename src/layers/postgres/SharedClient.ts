import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { Connection } from "effect/sql/SqlConnection"
import { SqlError, UnknownError } from "effect/sql/SqlError"

/**
 * A client over the connections of the host's client that knows nothing of the host's transactions and name transforms: an
 * audit row written inside the host's `withTransaction` MUST NOT vanish with it, and a statement of ours must not fail
 * because theirs did (R-06, ENT-13).
 */
export const make = (host: PgClient.PgClient) =>
  SqlClient.make({
    acquirer: host.reserve,
    transactionAcquirer: host.reserve,
    compiler: PgClient.makeCompiler(undefined, false),
    driver: "pg",
    spanAttributes: [],
    commit,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`
  })

// Postgres answers COMMIT of an aborted transaction with ROLLBACK and no error (F-05).
const commit = (connection: Connection): Effect.Effect<void, SqlError> =>
  Effect.flatMap(connection.executeRaw("COMMIT", []), (result) =>
    typeof result === "object" && result !== null && "command" in result && result.command === "ROLLBACK"
      ? Effect.fail(
          new SqlError({
            reason: new UnknownError({
              cause: new Error("COMMIT rolled back an aborted transaction"),
              message: "COMMIT rolled back an aborted transaction",
              operation: "commit"
            })
          })
        )
      : Effect.void
  )
