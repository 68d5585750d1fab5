import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { announcing, StoreTransaction } from "../../services/StoreTransaction.ts"
import { Database } from "./Database.ts"
import { toStoreError, undie } from "./SqlFailure.ts"

/**
 * One connection and one READ COMMITTED transaction for an act and its audit row. A caller that stalls inside it for 2 s
 * loses it, since it may hold the head of a chain.
 */
export const make = Effect.gen(function* () {
  const { sql } = yield* Database

  const limits = sql
    .unsafe(
      `SELECT set_config('idle_in_transaction_session_timeout', '2s', true), set_config('lock_timeout', '2s', true)`
    )
    .pipe(Effect.asVoid)

  return StoreTransaction.of({
    run: announcing((self) =>
      undie(sql.withTransaction(Effect.andThen(limits, self))).pipe(
        Effect.provideService(SqlClient.BeginTransaction, "BEGIN ISOLATION LEVEL READ COMMITTED"),
        Effect.catchIf(isSqlFailure, (error) => Effect.fail(toStoreError("StoreTransaction", "run")(error)))
      )
    )
  })
})

export const layer = Layer.effect(StoreTransaction, make)

/** Whether the current fiber is inside `StoreTransaction.run`. */
export const isOpen = (sql: SqlClient.SqlClient): Effect.Effect<boolean> =>
  Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)

const isSqlFailure = (error: unknown): error is SqlError => isSqlError(error)
