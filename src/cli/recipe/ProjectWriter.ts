import { randomBytes } from "node:crypto"
import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { basename } from "node:path"
import { Effect } from "effect"
import type { UsageError } from "../CliFailure.ts"
import { attempt, problemOf } from "./FileProblem.ts"
import { type HeldDirectory, holdIn } from "./HeldDirectory.ts"
import type { ProjectFile } from "./ProjectFiles.ts"
import { facts, holdParent, isStill, look } from "./ProjectPlace.ts"
import type { ProjectTarget } from "./ProjectTarget.ts"

export interface WriteOptions {
  /** A directory that is in the way is renamed, never emptied or deleted. */
  readonly force: boolean
  readonly home: string
  /** For tests: what happens just before each step. */
  readonly before?: (step: string) => Effect.Effect<void, UsageError>
}

/**
 * Writes a project: everything into a new directory beside the target, which gets the target's name when all of it is there. What
 * fails or is interrupted leaves the target as it was and nothing beside it (L-01, L-02, L-04). Answers the name that a directory
 * in the way has now.
 */
export const writeProject = (
  target: ProjectTarget,
  files: ReadonlyArray<ProjectFile>,
  { before = () => Effect.void, force, home }: WriteOptions
): Effect.Effect<string | undefined, UsageError> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* before("hold")
      const parent = yield* holdParent(target)
      yield* before("look")
      const old = yield* look(parent, target, force, home)
      yield* before("begin")
      const part = yield* Effect.acquireRelease(begin(parent, target), (part) =>
        Effect.sync(() => discard(parent, part))
      )
      for (const file of files) {
        yield* before(file.name)
        yield* write(target.path, part, file)
      }
      yield* before("publish")
      return yield* Effect.uninterruptible(publish(parent, target, part, old))
    })
  )

/** A directory under a temporary name, and whether it has its own by now. */
interface Part {
  readonly name: string
  readonly directory: HeldDirectory
  readonly facts: BigIntStats | undefined
  readonly written: Array<string>
  published: boolean
}

const begin = (parent: HeldDirectory, { path }: ProjectTarget) =>
  attempt(path, (): Part => {
    const name = basename(mkdtempSync(parent.at(".governance-recipe-")))
    const directory = holdIn(parent, name)
    chmodSync(directory.at("."), 0o755)
    return { name, directory, facts: facts(parent.at(name)), written: [], published: false }
  })

// O_EXCL and O_NOFOLLOW: what is there already is no file of ours, and a link leads elsewhere.
const exclusive = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

const write = (path: string, part: Part, { name, text }: ProjectFile) =>
  Effect.acquireUseRelease(
    attempt(path, () => {
      const file = openSync(part.directory.at(name), exclusive, 0o644)
      part.written.push(name)
      return file
    }),
    (file) => attempt(path, () => writeFileSync(file, text)),
    (file) => Effect.sync(() => closeSync(file))
  )

/** A rename follows no link and replaces nothing but an empty directory, so it needs no look before; one after it tells what got the name. */
const publish = Effect.fnUntraced(function* (
  parent: HeldDirectory,
  { name, path }: ProjectTarget,
  part: Part,
  old: BigIntStats | undefined
) {
  const aside = old === undefined ? undefined : `${name}.before-${randomBytes(4).toString("hex")}`
  if (aside !== undefined) {
    yield* attempt(path, () => renameSync(parent.at(name), parent.at(aside)))
    if (old !== undefined && !isStill(old, facts(parent.at(aside)))) {
      yield* attempt(path, () => renameSync(parent.at(aside), parent.at(name)))
      return yield* swapped(path)
    }
  }
  yield* Effect.tapError(
    attempt(path, () => renameSync(parent.at(part.name), parent.at(name))),
    () => Effect.ignore(attempt(path, () => aside !== undefined && renameSync(parent.at(aside), parent.at(name))))
  )
  if (part.facts === undefined || !isStill(part.facts, facts(parent.at(name)))) return yield* swapped(path)
  part.published = true
  return aside
})

const swapped = (path: string) => problemOf(path, "EEXIST")

/** Takes away what we wrote and nothing else: no directory is emptied by looking what is in it. */
const discard = (parent: HeldDirectory, part: Part) => {
  const gone = part.published
    ? []
    : [...part.written.map((name) => () => unlinkSync(part.directory.at(name))), () => rmdirSync(parent.at(part.name))]
  for (const remove of gone) quietly(remove)
  part.directory.close()
}

// What is gone already, or became somebody else's, is left alone: the failure before this one is what counts.
const quietly = (remove: () => void) => {
  try {
    remove()
  } catch {}
}
