import { DatabaseSync } from "node:sqlite"
import { Effect } from "effect"
import { describe, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"

/**
 * Takes the data directory's lock for the life of this process; false when another process still holds it after `waitMillis`.
 * An exclusive SQLite transaction is the one lock of the kernel that Node can reach: `kill -9` frees it, a file's existence would not.
 */
export const takeLock = (path: string, waitMillis: number): Effect.Effect<boolean, EmbeddedPostgresError> =>
  Effect.try({ try: () => begin(path, waitMillis), catch: (cause) => cause }).pipe(
    Effect.as(true),
    Effect.catchIf(isBusy, () => Effect.succeed(false)),
    Effect.mapError(
      (cause) =>
        new EmbeddedPostgresError({ operation: "start", problem: "directory", subject: path, detail: describe(cause) })
    )
  )

// Referenced for ever: a collected database would close its file and free the lock.
const held: Array<DatabaseSync> = []

const begin = (path: string, waitMillis: number): void => {
  const database = new DatabaseSync(path, { timeout: waitMillis })
  held.push(database)
  database.exec("PRAGMA journal_mode = MEMORY")
  database.exec("BEGIN EXCLUSIVE")
}

const SQLITE_BUSY = 5
const isBusy = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "errcode" in cause && cause.errcode === SQLITE_BUSY
