// Where a user's own state belongs, only the operating system can say.
import { createHash, randomBytes } from "node:crypto"
import { homedir } from "node:os"
import { join } from "node:path"
import { Config, Effect, FileSystem, Option, Schema } from "effect"
import { type Remembered, RememberedCheckpoint } from "../services/RememberedCheckpoint.ts"

/** `GOVERNANCE_STATE_DIR`, else below `XDG_STATE_HOME`, else `~/.local/state`. */
export const defaultStateDir = Effect.map(
  Effect.orElseSucceed(Config.option(Config.String("XDG_STATE_HOME")), () => Option.none<string>()),
  (given) =>
    join(
      Option.getOrElse(
        Option.filter(given, (path) => path.startsWith("/")),
        () => join(homedir(), ".local", "state")
      ),
      "effect-governance"
    )
)

/** One small file for each place, replaced as a whole, readable by its owner alone. */
export const make = Effect.fnUntraced(function* (directory: string, place: string) {
  const files = yield* FileSystem.FileSystem
  const name = createHash("sha256").update(place).digest("hex").slice(0, 32)
  const path = join(directory, `checkpoint-${name}.json`)
  let warned = false

  const keep = (checkpoint: Remembered) =>
    Effect.gen(function* () {
      yield* files.makeDirectory(directory, { recursive: true, mode: 0o700 })
      const fresh = `${path}.${randomBytes(6).toString("hex")}`
      yield* files.writeFileString(fresh, `${JSON.stringify(checkpoint)}\n`, { mode: 0o600, flag: "wx" })
      yield* files.rename(fresh, path)
    }).pipe(
      Effect.catch((error) => {
        if (warned) return Effect.void
        warned = true
        return Effect.logWarning(`The last checkpoint cannot be remembered in ${directory}: ${error.message}`)
      })
    )

  return RememberedCheckpoint.of({
    keep,
    recall: Effect.map(Effect.option(files.readFileString(path)), (text) =>
      Option.getOrNull(Option.flatMap(text, decode))
    )
  })
})

const decode: (text: string) => Option.Option<Remembered> = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      origin: Schema.String,
      size: Schema.Int,
      root: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)),
      key: Schema.NullOr(Schema.String),
      sinks: Schema.Array(Schema.String)
    })
  )
)
