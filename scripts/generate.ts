import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** A file of `scripts/generators/` exports one of these as its default: what it writes, and the text of it. */
export interface Generator {
  /** Relative to the project's root. */
  readonly output: string
  readonly generate: () => string | Promise<string>
}

// `npm run generate` writes every generated module; with --check it writes nothing and fails when one is stale.
const root = join(import.meta.dirname, "..")
const check = process.argv.includes("--check")
let stale = 0

for (const file of readdirSync(join(import.meta.dirname, "generators")).sort()) {
  if (!file.endsWith(".ts")) continue
  const generator: Generator = (await import(`./generators/${file}`)).default
  const target = join(root, generator.output)
  const text = await generator.generate()
  if (text === read(target)) continue
  if (check) {
    stale++
    console.error(`${generator.output} is stale: run \`npm run generate\``)
  } else {
    writeFileSync(target, text)
    console.log(`wrote ${generator.output}`)
  }
}
process.exitCode = stale === 0 ? 0 : 1

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}
