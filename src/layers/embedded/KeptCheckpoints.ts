import { join } from "node:path"
import { Effect } from "effect"
import { keptSecret } from "./KeptSecret.ts"

/** The checkpoint key of a kept embedded database, its sink beside the database's own directory, and its name in memory. */
export const keptCheckpoints = Effect.fnUntraced(function* (dataDir: string) {
  const { secret } = yield* keptSecret(dataDir, "checkpoint-key")
  return { checkpointKey: secret, checkpointFile: join(dataDir, "checkpoints.jsonl"), checkpointPlace: dataDir }
})
