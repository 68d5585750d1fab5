import { Effect } from "effect"
import { StoreError } from "../../schema/StoreError.ts"
import { Database } from "./Database.ts"
import { bounded } from "./Deadline.ts"
import { toStoreError } from "./SqlFailure.ts"

export type Ask = (
  operation: string,
  text: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, StoreError>

/** One statement of a store on the shared client, inside the caller's `StoreTransaction` when there is one, within a deadline. */
export const make = (store: string, deadlineMs = 3000): Effect.Effect<Ask, never, Database> =>
  Effect.map(
    Database,
    ({ sql }): Ask =>
      (operation, text, params = []) =>
        bounded(
          Effect.mapError(sql.unsafe(text, params).values, toStoreError(store, operation)),
          deadlineMs,
          () => new StoreError({ store, operation, problem: "deadline" })
        )
  )
