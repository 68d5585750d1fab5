import { Effect, FileSystem, Option } from "effect"
import { archiveLine } from "../schema/ArchiveText.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import { UsageError } from "./CliFailure.ts"

/**
 * Writes rows to a new file that only its owner can read; they are on the disk when it returns. An existing file is refused
 * before anything else happens, and a file that got no rows is taken away again when the scope closes.
 */
export const archiveTo = Effect.fnUntraced(function* (path: Option.Option<string>) {
  if (Option.isNone(path)) return undefined
  const files = yield* FileSystem.FileSystem
  let written = 0
  const file = yield* Effect.mapError(
    files.open(path.value, { flag: "wx", mode: 0o600 }),
    () =>
      new UsageError({
        subject: "--archive",
        problem: "names a file that is there already, or that cannot be made",
        todo: "Name a new file in a directory that you can write to."
      })
  )
  // Only now: a file that was there before is not ours to take away.
  yield* Effect.addFinalizer(() => (written === 0 ? Effect.ignore(files.remove(path.value)) : Effect.void))
  return (rows: ReadonlyArray<ChainRow>) =>
    Effect.suspend(() => {
      written += rows.length
      return Effect.andThen(file.writeAll(new TextEncoder().encode(rows.map(archiveLine).join(""))), file.sync)
    })
})
