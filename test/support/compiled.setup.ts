import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import type { TestProject } from "vitest/node"

declare module "vitest" {
  export interface ProvidedContext {
    /** Where the run's one compiled package lies, once somebody has asked for it. */
    compiled: string
  }
}

/** Beside the sources, so that what is compiled there finds its dependencies as an installed package does. */
export default function setup(project: TestProject) {
  const root = join(import.meta.dirname, "../..")
  const directory = mkdtempSync(join(root, ".compiled-"))
  for (const part of ["migrations", "package.json"]) symlinkSync(join(root, part), join(directory, part))
  project.provide("compiled", directory)
  return () => rmSync(directory, { recursive: true, force: true })
}
