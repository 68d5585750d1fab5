import { type BigIntStats, lstatSync, statSync } from "node:fs"
import { Effect } from "effect"
import { UsageError } from "../CliFailure.ts"
import { attempt, codeOf } from "./FileProblem.ts"
import { type HeldDirectory, hold, holdIn } from "./HeldDirectory.ts"
import type { ProjectTarget } from "./ProjectTarget.ts"
import { recipeFiles } from "./Recipes.ts"

/** The parent of a target, held open; no step on the way to it was a symbolic link (L-01). */
export const holdParent = Effect.fnUntraced(function* ({ base, parents, path }: ProjectTarget) {
  let at = yield* holding(attempt(path, () => hold(base)))
  for (const [index, step] of parents.entries()) {
    const parent = parents.slice(0, index + 1).join("/")
    const from = at
    at = yield* holding(Effect.mapError(passed(from, step), (problem) => noParent(parent, problem)))
  }
  return at
})

/** What stands where the project shall go: nothing, or a directory that may make room for it. Fails for anything else. */
export const look = Effect.fnUntraced(function* (
  parent: HeldDirectory,
  target: ProjectTarget,
  force: boolean,
  home: string
) {
  const { name, path } = target
  const there = yield* attempt(path, () => facts(parent.at(name)))
  if (there === undefined) return undefined
  if (there.isSymbolicLink())
    return yield* refused(path, "is a symbolic link", "A link is never followed, with --force neither.")
  if (!there.isDirectory()) return yield* refused(path, "exists and is no directory", "Give a name that is free.")
  if (!force) {
    return yield* refused(
      path,
      "exists already",
      "Give a name that is free, or --force, which moves it out of the way."
    )
  }
  const protectedAs = yield* attempt(path, () => protectedPlace(there, home))
  if (protectedAs !== undefined) return yield* refused(path, `is ${protectedAs}`, "Name a new directory below it.")
  const old = yield* holding(attempt(path, () => holdIn(parent, name)))
  const versioned = yield* attempt(path, () => repositories.some((entry) => facts(old.at(entry)) !== undefined))
  if (versioned) return yield* refused(path, "is the root of a repository", "Name a new directory below it.")
  for (const file of recipeFiles) {
    const entry = yield* attempt(path, () => facts(old.at(file)))
    if (entry === undefined || (entry.isFile() && entry.nlink === 1n)) continue
    return yield* refused(
      path,
      `holds a ${file} that is a link or no ordinary file`,
      "Look where it leads, and remove it."
    )
  }
  return there
})

/** Whether a name in a held directory still means what it meant. */
export const isStill = (before: BigIntStats, now: BigIntStats | undefined) =>
  now !== undefined && now.ino === before.ino && now.dev === before.dev

/** What is there, without following a link; nothing when there is nothing. */
export const facts = (path: string): BigIntStats | undefined => lstatSync(path, { bigint: true, throwIfNoEntry: false })

const holding = <E>(open: Effect.Effect<HeldDirectory, E>) =>
  Effect.acquireRelease(open, (held) => Effect.sync(() => held.close()))

const passed = (from: HeldDirectory, step: string) =>
  Effect.try({
    try: () => holdIn(from, step),
    catch: (cause) => {
      if (codeOf(cause) === "ENOENT") return "does not exist"
      if (facts(from.at(step))?.isSymbolicLink() === true) return "is a symbolic link"
      return codeOf(cause) === "ENOTDIR" ? "is no directory" : "cannot be entered"
    }
  })

const noParent = (parent: string, problem: string) =>
  new UsageError({
    subject: parent,
    problem,
    todo:
      problem === "does not exist"
        ? "Create it first."
        : "A path is taken as it is written: give one without links, or go there and name what is below."
  })

/** Found by what they are, since a name may reach them in more than one way. */
const protectedPlace = (there: BigIntStats, home: string): string | undefined => {
  const is = (path: string) => isStill(there, statSync(path, { bigint: true, throwIfNoEntry: false }))
  if (is("/")) return "the root of the file system"
  if (is(home)) return "your home directory"
  return is(".") ? "the current directory" : undefined
}

const repositories = [".git", ".hg", ".svn", ".jj"]

const refused = (subject: string, problem: string, todo: string) => new UsageError({ subject, problem, todo })
