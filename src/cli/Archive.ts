import { Effect, FileSystem, Option, Scope } from "effect"
import { archiveLine } from "../schema/ArchiveText.ts"
import type { ChainRow } from "../schema/Envelope.ts"

/**
 * Writes rows to a new file that only its owner can read, on the disk before it returns. An existing file is refused, and the
 * file is made when there is something to write.
 */
export const archiveTo = Effect.fnUntraced(function* (path: Option.Option<string>) {
  if (Option.isNone(path)) return undefined
  const files = yield* FileSystem.FileSystem
  const scope = yield* Effect.scope
  const opened = yield* Effect.cached(
    Effect.provideService(files.open(path.value, { flag: "wx", mode: 0o600 }), Scope.Scope, scope)
  )
  return (rows: ReadonlyArray<ChainRow>) =>
    Effect.flatMap(opened, (file) =>
      Effect.andThen(file.writeAll(new TextEncoder().encode(rows.map(archiveLine).join(""))), file.sync)
    )
})
