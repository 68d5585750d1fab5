import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { StoreError } from "../../schema/StoreError.ts"
import type { WorkspaceId } from "../../schema/Workspace.ts"
import { Database } from "./Database.ts"
import { bounded } from "./Deadline.ts"
import { toStoreError, undie } from "./SqlFailure.ts"

export type TenantAsk = (
  operation: string,
  text: string,
  params: readonly [workspace: WorkspaceId, ...rest: ReadonlyArray<unknown>]
) => Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, StoreError>

/**
 * As `Ask`, inside the workspace that is the statement's first parameter: the database shows it the rows of no other one, also
 * when the statement forgets to ask for its own (P-09). The setting ends with the transaction, so it never outlives the
 * connection's loan, behind a transaction pooler too. Costs three round trips more than `Ask`.
 */
export const make = (store: string, deadlineMs = 3000): Effect.Effect<TenantAsk, never, Database> =>
  Effect.map(
    Database,
    ({ sql }): TenantAsk =>
      (operation, text, params) =>
        bounded(
          undie(
            sql.withTransaction(Effect.andThen(sql.unsafe(enter, [params[0]]).values, sql.unsafe(text, params).values))
          ).pipe(
            Effect.provideService(SqlClient.BeginTransaction, "BEGIN ISOLATION LEVEL READ COMMITTED"),
            Effect.mapError(toStoreError(store, operation))
          ),
          deadlineMs,
          () => new StoreError({ store, operation, problem: "deadline" })
        )
  )

const enter = "SELECT set_config('governance.workspace', $1, true)"
