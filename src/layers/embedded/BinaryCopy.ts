import { createHash, randomBytes } from "node:crypto"
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  symlinkSync
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { Effect, Result } from "effect"
import type { LibraryLink } from "./Binaries.ts"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"

/**
 * Copies the native tree once per user and content to a place where `works` says yes, and returns its path. A copy that is
 * already there is believed only when it is ours, writable by nobody else and complete; else a fresh one is made.
 */
export const copyBinaries = Effect.fnUntraced(function* (
  native: string,
  links: ReadonlyArray<LibraryLink>,
  works: (tree: string) => boolean
) {
  let last = ""
  const files = yield* attempt("prepare binaries", "unusable", native, () => list(native))
  for (const base of new Set([tmpdir(), "/tmp", "/var/tmp"])) {
    const copy = yield* Effect.result(
      attempt("prepare binaries", "unusable", base, () => {
        const prefix = `effect-governance-postgres-${digest(files)}-`
        const known = readdirSync(base)
          .filter((name) => name.startsWith(prefix))
          .map((name) => join(base, name))
        return known.find((tree) => trusted(tree, files)) ?? make(native, files, links, base, prefix)
      })
    )
    if (Result.isSuccess(copy) && works(copy.success)) return copy.success
    last = Result.isFailure(copy) ? copy.failure.detail : `${copy.success} does not run`
  }
  return yield* new EmbeddedPostgresError({
    operation: "prepare binaries",
    problem: "unusable",
    subject: native,
    detail: last
  })
})

interface File {
  readonly path: string
  readonly size: number
  readonly program: boolean
}

const list = (native: string): ReadonlyArray<File> =>
  readdirSync(native, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".a"))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      const facts = lstatSync(path)
      return { path: path.slice(native.length + 1), size: facts.size, program: (facts.mode & 0o100) !== 0 }
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1))

const digest = (files: ReadonlyArray<File>): string =>
  createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 16)

// A temporary directory belongs to everyone: without these checks whoever made the name would decide what we run.
const trusted = (tree: string, files: ReadonlyArray<File>): boolean => {
  const top = lstatSync(tree, { throwIfNoEntry: false })
  if (
    top === undefined ||
    !top.isDirectory() ||
    top.uid !== (process.geteuid?.() ?? top.uid) ||
    (top.mode & 0o022) !== 0
  )
    return false
  return files.every((file) => lstatSync(join(tree, file.path), { throwIfNoEntry: false })?.size === file.size)
}

// The final name appears only when the copy is complete, and holds a random part that nobody can make first.
const make = (
  native: string,
  files: ReadonlyArray<File>,
  links: ReadonlyArray<LibraryLink>,
  base: string,
  prefix: string
): string => {
  const part = mkdtempSync(join(base, "effect-governance-part-"))
  for (const file of files) {
    const to = join(part, file.path)
    mkdirSync(dirname(to), { recursive: true })
    copyFileSync(join(native, file.path), to)
    chmodSync(to, file.program ? 0o755 : 0o644)
  }
  for (const link of links) symlinkSync(basename(link.source), join(part, link.target.slice("native/".length)))
  for (const entry of readdirSync(part, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755)
  }
  chmodSync(part, 0o755)
  const tree = join(base, `${prefix}${randomBytes(12).toString("hex")}`)
  renameSync(part, tree)
  return tree
}
