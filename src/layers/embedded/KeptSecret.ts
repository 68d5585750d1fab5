import { randomBytes } from "node:crypto"
import { closeSync, constants, fstatSync, linkSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Option, Redacted } from "effect"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"

/** The audit secret of a kept embedded database and where it lies; `made` when this call created it. */
export interface KeptSecret {
  readonly secret: Redacted.Redacted<string>
  readonly path: string
  readonly made: boolean
}

/**
 * The audit secret beside the data (DEC-18): 32 random bytes in hex, mode 0600, made once. However many processes start at
 * the same moment, they end with one secret (IDN-08). A file that others could read or write is refused, never replaced: the
 * log may be sealed with it.
 */
export const keptSecret = Effect.fnUntraced(function* (dataDir: string) {
  const path = join(dataDir, "audit-secret")
  const found = yield* read(path)
  if (Option.isSome(found)) return kept(found.value, path, false)
  const fresh = `${path}.${randomBytes(8).toString("hex")}`
  const made = yield* attempt("prepare data directory", "directory", path, () => {
    writeFileSync(fresh, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600, flag: "wx" })
    // A link fails where a name is taken, and never shows half a file: the first one wins, whole.
    const won = linked(fresh, path)
    rmSync(fresh, { force: true })
    return won
  })
  const settled = yield* read(path)
  if (Option.isNone(settled)) return yield* unusable(path, "it has gone again")
  return kept(settled.value, path, made)
})

const kept = (text: string, path: string, made: boolean): KeptSecret => ({
  secret: Redacted.make(text, { label: "audit secret" }),
  path,
  made
})

const read = Effect.fnUntraced(function* (path: string) {
  const found = yield* attempt("prepare data directory", "directory", path, () => readOwn(path))
  if (found === undefined) return Option.none<string>()
  if (typeof found !== "string") return yield* unusable(path, found.problem)
  return /^[0-9a-f]{64}$/.test(found) ? Option.some(found) : yield* unusable(path, "it does not hold 64 hex digits")
})

const readOwn = (path: string): string | { readonly problem: string } | undefined => {
  const file = openIfThere(path)
  if (file === undefined) return undefined
  const facts = fstatSync(file)
  const ours = facts.isFile() && facts.uid === (process.geteuid?.() ?? facts.uid) && (facts.mode & 0o077) === 0
  const text = ours
    ? readFileSync(file, "utf8").trim()
    : { problem: "it must be yours alone: check who could read it, then run chmod 600" }
  closeSync(file)
  return text
}

const unusable = (subject: string, detail: string) =>
  new EmbeddedPostgresError({ operation: "prepare data directory", problem: "foreign", subject, detail })

// Node says by an exception what is an answer here: there is no such file yet, or somebody else was faster.
const openIfThere = (path: string): number | undefined => {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}
const linked = (from: string, to: string): boolean => {
  try {
    linkSync(from, to)
    return true
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false
    throw cause
  }
}

const codeOf = (cause: unknown) => (cause instanceof Error && "code" in cause ? cause.code : undefined)
