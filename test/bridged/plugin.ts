import { join, relative } from "node:path"
import type { Plugin } from "vite"

const root = join(import.meta.dirname, "../..")
const attached = join(import.meta.dirname, "Attached.ts")
const waist = "\n  pipeline.pipe(\n"

/**
 * Tests in which governance has to start within some turns of the scheduler while virtual time passes: here its start waits for
 * a real answer, which takes a few real milliseconds.
 */
const startInTurns: Readonly<Record<string, string>> = {
  "test/services/Cost.test.ts": "answers a stranger within one deadline as well",
  "test/services/Modules.test.ts": "closing does not wait for ever for a store that hangs"
}

/** Puts a bridge beside all that wires governance together, whoever does so; the product knows nothing of it. */
export const bridged: Plugin = {
  name: "bridged",
  enforce: "pre",
  transform(code, id) {
    const file = relative(root, id)
    const replaced = (what: string, by: string) => {
      if (!code.includes(what)) throw new Error(`${file} is otherwise than test/bridged/plugin.ts knows it`)
      return code.replace(what, by)
    }
    const skipped = startInTurns[file]
    if (skipped !== undefined) return replaced(`it.effect("${skipped}`, `it.effect.skip("${skipped}`)
    if (file !== "src/layers/Governance.ts") return null
    const wired = replaced(waist, "\n  Layer.provideMerge(attached, pipeline).pipe(\n")
    return `import { attached } from ${JSON.stringify(attached)}\n${wired}`
  }
}
