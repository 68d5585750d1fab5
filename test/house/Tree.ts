import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"

export const root = join(import.meta.dirname, "../..")

/** Every file that git tracks or would track, relative to the root. */
export const files = (...prefixes: ReadonlyArray<string>): ReadonlyArray<string> =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z", ...prefixes], {
    cwd: root,
    encoding: "utf8"
  })
    .split("\0")
    .filter((file) => file !== "" && existsSync(join(root, file)) && statSync(join(root, file)).isFile())

export const read = (file: string): string => readFileSync(join(root, file), "utf8")
