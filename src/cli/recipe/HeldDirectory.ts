import { closeSync, constants, existsSync, openSync } from "node:fs"
import { join } from "node:path"

/**
 * A directory that is held open. What goes through `at` happens in that very directory, whatever its name points to by now: on
 * Linux names are looked up below the open file. Elsewhere they are looked up below the path again, so there a parent that
 * somebody swaps in the same instant is not noticed.
 */
export interface HeldDirectory {
  readonly at: (name: string) => string
  readonly close: () => void
}

/** Opens a directory by its path. Throws as `open` does. */
export const hold = (path: string): HeldDirectory => held(openSync(path, directory), path)

/** Opens a directory in a held one. A symbolic link is never followed: it throws `ENOTDIR` or `ELOOP`. */
export const holdIn = (parent: HeldDirectory, name: string): HeldDirectory =>
  held(openSync(parent.at(name), directory | constants.O_NOFOLLOW), parent.at(name))

const held = (file: number, path: string): HeldDirectory => {
  const byFile = `/proc/self/fd/${file}`
  const base = existsSync(byFile) ? byFile : path
  return { at: (name) => join(base, name), close: () => closeSync(file) }
}

// Linux's O_PATH, which Node does not name: a parent need not be readable to be passed through.
const passing = process.platform === "linux" ? 0o10000000 : constants.O_RDONLY
const directory = passing | constants.O_DIRECTORY
