import { Effect, FileSystem } from "effect"
import { UsageError } from "./CliFailure.ts"

/**
 * Writes a file that must not be there yet, readable by its owner alone. It gets its name once all of it is written: what
 * fails half way leaves nothing behind.
 */
export const writeNew = <A, E, R>(
  path: string,
  write: (put: (piece: Uint8Array) => Effect.Effect<void, UsageError>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | UsageError, R | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    if (yield* Effect.orElseSucceed(files.exists(path), () => true)) {
      return yield* new UsageError({ subject: path, problem: "exists already", todo: "Give a name that is free." })
    }
    const part = `${path}.part`
    const written = Effect.scoped(
      Effect.gen(function* () {
        const file = yield* Effect.mapError(files.open(part, { flag: "wx", mode: 0o600 }), () => unwritable(path))
        const result = yield* write((piece) => Effect.mapError(file.writeAll(piece), () => unwritable(path)))
        yield* Effect.mapError(file.sync, () => unwritable(path))
        return result
      })
    )
    const result = yield* Effect.onError(written, () => Effect.ignore(files.remove(part)))
    yield* Effect.mapError(files.rename(part, path), () => unwritable(path))
    return result
  })

const unwritable = (path: string) =>
  new UsageError({
    subject: path,
    problem: "cannot be written",
    todo: "Check that the directory exists and is yours, that there is room, and that no half-written file of that name, ending in .part, is in the way."
  })
