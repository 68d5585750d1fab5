import { isAbsolute, parse, relative, resolve, sep } from "node:path"
import { nameProblem } from "./ProjectName.ts"

/** Where a project goes: from `base`, through `parents` that are there already, to `name`. */
export interface ProjectTarget {
  readonly path: string
  /** `.` when the target lies below the current directory, which is not walked then but used as it is; else the root. */
  readonly base: string
  readonly parents: ReadonlyArray<string>
  readonly name: string
}

/** Why a path is no target. */
export interface BadTarget {
  readonly problem: string
  readonly todo: string
}

/** The target that a path means, by rules that need no file system (RCP-04, L-03). */
export const targetOf = (given: string, cwd: string, home: string): ProjectTarget | BadTarget => {
  if (given === "" || given.includes("\0")) return bad("is no path", "Name a new directory.")
  const path = resolve(cwd, given)
  const root = parse(path).root
  if (path === root) return bad("is the root of the file system", elsewhere)
  if (path === resolve(home)) return bad("is your home directory", elsewhere)
  if (holds(path, cwd)) return bad("holds the current directory", elsewhere)
  if (holds(path, resolve(home))) return bad("holds your home directory", elsewhere)
  const below = relative(cwd, path)
  const inside = !isAbsolute(below) && below.split(sep)[0] !== ".."
  const steps = (inside ? below : path.slice(root.length)).split(sep)
  const name = steps.at(-1) ?? ""
  const problem = nameProblem(name)
  if (problem !== undefined) return bad(problem, "Give the directory another name.")
  return { path, base: inside ? "." : root, parents: steps.slice(0, -1), name }
}

export const isBad = (target: ProjectTarget | BadTarget): target is BadTarget => "problem" in target

const holds = (path: string, other: string) => {
  const way = relative(path, other)
  return way === "" || (!isAbsolute(way) && way.split(sep)[0] !== "..")
}

const bad = (problem: string, todo: string): BadTarget => ({ problem, todo })

const elsewhere = "Name a new directory below it."
