import { randomBytes } from "node:crypto"
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { Effect, Option, Redacted } from "effect"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"

/** The audit secret of a kept embedded database and where it lies; `made` when this call created it. */
export interface KeptSecret {
  readonly secret: Redacted.Redacted<string>
  readonly path: string
  readonly made: boolean
  /** Secrets of this log that were replaced, or are about to be current: the registry in the database says which is what. */
  readonly others: ReadonlyArray<Redacted.Redacted<string>>
}

/**
 * The audit secret beside the data (DEC-18): 32 random bytes in hex, mode 0600, made once. However many processes start at
 * the same moment, they end with one secret (IDN-08). A file that others could read or write is refused, never replaced: the
 * log may be sealed with it.
 */
export const keptSecret = Effect.fnUntraced(function* (
  dataDir: string,
  name: "audit-secret" | "checkpoint-key" = "audit-secret"
) {
  const path = join(dataDir, name)
  const others = yield* readOthers(dataDir)
  const found = yield* read(path)
  if (Option.isSome(found)) return kept(found.value, path, false, others)
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
  return kept(settled.value, path, made, others)
})

/** A new secret, of the form that is kept. */
export const makeSecret = Effect.sync(() => redacted(randomBytes(32).toString("hex")))

/**
 * Puts a secret beside the data, under the whole id of its key, before a rotation makes it current. From then on every
 * opener knows it: a rotation that is cut off at any moment leaves nothing unreadable (K-05).
 */
export const keepSecret = (dataDir: string, keyId: string, secret: Redacted.Redacted<string>) => {
  const path = join(dataDir, `audit-secret.${keyId}`)
  return attempt("prepare data directory", "directory", path, () => {
    writeDurably(path, secret)
    flushDirectory(dataDir)
    return path
  })
}

/** Makes a kept secret the one that `audit-secret` holds. The one that was there stays, under the id of its own key. */
export const promoteSecret = (
  dataDir: string,
  current: { readonly keyId: string; readonly secret: Redacted.Redacted<string> },
  next: Redacted.Redacted<string>
) =>
  attempt("prepare data directory", "directory", dataDir, () => {
    const path = join(dataDir, "audit-secret")
    writeDurably(join(dataDir, `audit-secret.${current.keyId}`), current.secret)
    flushDirectory(dataDir)
    const fresh = `${path}.${randomBytes(8).toString("hex")}`
    writeFileSync(fresh, `${Redacted.value(next)}\n`, { mode: 0o600, flag: "wx", flush: true })
    renameSync(fresh, path)
    flushDirectory(dataDir)
  })

const writeDurably = (path: string, secret: Redacted.Redacted<string>) => {
  const fresh = `${path}.${randomBytes(8).toString("hex")}`
  writeFileSync(fresh, `${Redacted.value(secret)}\n`, { mode: 0o600, flag: "wx", flush: true })
  linked(fresh, path)
  rmSync(fresh, { force: true })
}

const flushDirectory = (path: string) => {
  const directory = openSync(path, constants.O_RDONLY)
  fsyncSync(directory)
  closeSync(directory)
}

const readOthers = Effect.fnUntraced(function* (dataDir: string) {
  const names = yield* attempt("prepare data directory", "directory", dataDir, () => readdirSync(dataDir))
  const found = yield* Effect.forEach(
    names.filter((name) => /^audit-secret\.[0-9a-f]{32}$/.test(name)).sort(),
    (name) => read(join(dataDir, name))
  )
  return found.flatMap((secret) => Option.toArray(Option.map(secret, redacted)))
})

const redacted = (text: string) => Redacted.make(text, { label: "audit secret" })

const kept = (text: string, path: string, made: boolean, others: KeptSecret["others"]): KeptSecret => ({
  secret: redacted(text),
  path,
  made,
  others
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
