import { execFile } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { inject } from "vitest"

const root = join(import.meta.dirname, "../..")

/** The compiled package, which nobody may change: whichever test file asks first builds it, once for the whole run. */
export const compiled = async (): Promise<string> => {
  const directory = inject("compiled")
  const [dist, problem] = [join(directory, "dist"), join(directory, "problem")]
  if (isFirst(join(directory, "begun"))) {
    const building = join(directory, "building")
    await promisify(execFile)(
      join(root, "node_modules/.bin/tsc"),
      ["-p", "tsconfig.build.json", "--outDir", building],
      {
        cwd: root
      }
    ).then(
      () => renameSync(building, dist),
      (error) => writeFileSync(problem, String(error.stdout ?? error))
    )
  }
  while (!existsSync(dist)) {
    if (existsSync(problem)) throw new Error(`the package does not compile: ${readFileSync(problem, "utf8")}`)
    await sleep(50)
  }
  return dist
}

const isFirst = (mark: string): boolean => {
  try {
    mkdirSync(mark)
    return true
  } catch {
    return false
  }
}
