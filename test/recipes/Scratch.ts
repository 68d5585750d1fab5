import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { UsageError } from "../../src/cli/CliFailure.ts"
import type { ProjectFile } from "../../src/cli/recipe/ProjectFiles.ts"
import { isBad, targetOf } from "../../src/cli/recipe/ProjectTarget.ts"
import { type WriteOptions, writeProject } from "../../src/cli/recipe/ProjectWriter.ts"
import { recipeFiles } from "../../src/cli/recipe/Recipes.ts"

/** A directory to work in, and one outside of it whose content nothing may change. */
export interface Scratch {
  readonly work: string
  readonly outside: string
  readonly canary: string
}

export const scratch = Effect.acquireRelease(
  Effect.sync((): Scratch & { readonly home: string } => {
    const home = mkdtempSync(join(realpathSync(tmpdir()), "governance-recipe-test-"))
    const [work, outside] = [join(home, "work"), join(home, "outside")]
    mkdirSync(work)
    mkdirSync(outside)
    const canary = join(outside, "package.json")
    writeFileSync(canary, "canary")
    writeFileSync(join(outside, "agent.ts"), "another canary")
    return { home, work, outside, canary }
  }),
  ({ home }) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
)

export const untouched = { "package.json": "canary", "agent.ts": "another canary" }

export const project: ReadonlyArray<ProjectFile> = recipeFiles.map((name) => ({ name, text: `new ${name}\n` }))

/** Writes a project to a path, by the same way as the command. */
export const write = (
  path: string,
  options: Partial<WriteOptions> = {},
  files = project
): Effect.Effect<string | undefined, UsageError> => {
  const home = options.home ?? "/nowhere/at/all"
  const target = targetOf(path, "/elsewhere", home)
  if (isBad(target)) throw new Error(target.problem)
  return writeProject(target, files, { force: false, ...options, home })
}

/** The content of a directory, as text; what is no ordinary file as what it is. */
export const contentOf = (directory: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(directory, { withFileTypes: true })
      .map((entry): [string, string] => [
        entry.name,
        entry.isFile() ? readFileSync(join(directory, entry.name), "utf8") : "no file"
      ])
      .sort(([a], [b]) => (a < b ? -1 : 1))
  )

export const whole: Readonly<Record<string, string>> = Object.fromEntries(
  project.map(({ name, text }): [string, string] => [name, text]).sort(([a], [b]) => (a < b ? -1 : 1))
)
