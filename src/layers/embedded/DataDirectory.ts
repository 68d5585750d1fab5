import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { Effect } from "effect"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"

/**
 * Makes the data directory (0700, with its own `.gitignore`) or checks one that is there, and returns its real path.
 * A directory of another user, or one with a stranger's files in it, is refused and left as it is.
 */
export const prepareDataDirectory = Effect.fnUntraced(function* (requested: string) {
  const asked = resolve(requested)
  const path = yield* attempt("prepare data directory", "directory", asked, () => {
    mkdirSync(dirname(asked), { recursive: true })
    if (!existsSync(asked)) mkdirSync(asked, { recursive: true, mode: 0o700 })
    return realpathSync(asked)
  })
  const { mode, uid, names } = yield* attempt("prepare data directory", "directory", path, () => ({
    ...lstatSync(path),
    names: readdirSync(path)
  }))
  const refuse = (detail: string) =>
    new EmbeddedPostgresError({ operation: "prepare data directory", problem: "foreign", subject: path, detail })
  if (uid !== (process.geteuid?.() ?? uid)) return yield* refuse(`it belongs to user ${uid}`)
  if (names.length > 0 && !names.some((name) => MARKS.has(name)))
    return yield* refuse("it holds files of something else")
  if (names.length > 0 && (mode & 0o077) !== 0)
    return yield* refuse("others may enter it; check it, then run chmod 700")
  yield* attempt("prepare data directory", "directory", path, () => {
    chmodSync(path, 0o700)
    if (!existsSync(join(path, ".gitignore"))) writeFileSync(join(path, ".gitignore"), "*\n", { mode: 0o600 })
  })
  return path
})

const MARKS = new Set([".gitignore", "lock", "cluster", "credentials.json"])
