import { dirname, join, relative } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { files, read, root } from "./Tree.ts"

/** Who may import whom: schema <- services <- layers, integrations, bridge, web <- promise, cli. Siblings do not know each other. */
const mayImport: Record<string, ReadonlyArray<string>> = {
  schema: ["schema"],
  services: ["schema", "services"],
  layers: ["schema", "services", "layers"],
  integrations: ["schema", "services", "integrations"],
  bridge: ["schema", "services", "bridge"],
  web: ["schema", "services", "web"],
  platform: ["schema", "services", "web", "platform"],
  console: ["schema", "services", "web", "console"],
  testing: ["schema", "services", "layers", "testing"],
  promise: ["schema", "services", "layers", "integrations", "bridge", "promise"],
  cli: ["schema", "services", "layers", "integrations", "bridge", "web", "platform", "console", "cli"],
  "index.ts": ["schema", "services", "layers", "integrations"]
}

const importsOf = (file: string) => [...read(file).matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map((match) => match[1]!)
const roomOf = (path: string) => path.split("/")[1]!

describe("the house", () => {
  it("rooms import only downwards", () => {
    const broken = files("src").flatMap((file) =>
      importsOf(file)
        .filter((target) => target.startsWith("."))
        .map((target) => relative(root, join(root, dirname(file), target)))
        .filter((target) => !(mayImport[roomOf(file)] ?? []).includes(roomOf(target)))
        .map((target) => `${file} -> ${target}`)
    )
    assert.deepStrictEqual(broken, [])
  })

  it("the map of the integrations names every file of theirs", () => {
    const map = read("docs/decisions/integrations.md")
    const missing = files("src/integrations")
      .map((file) => file.replace(/^.*\/|\.ts$/g, ""))
      .filter((name) => !map.includes(`\`${name}\``))
    assert.deepStrictEqual(missing, [])
  })

  it("schema runs in a browser: it imports effect and itself only", () => {
    const foreign = files("src/schema").flatMap((file) =>
      importsOf(file)
        .filter((target) => !target.startsWith(".") && target !== "effect" && !target.startsWith("effect/"))
        .map((target) => `${file} -> ${target}`)
    )
    assert.deepStrictEqual(foreign, [])
  })

  it("takes from the crowded packages one module at a time: their indexes load Redis, RPC and 700 modules more", () => {
    const crowded = ["@effect/platform-node", "effect/reactivity"]
    const broken = files("src").flatMap((file) =>
      importsOf(file)
        .filter((target) => crowded.includes(target))
        .map((target) => `${file} -> ${target}`)
    )
    assert.deepStrictEqual(broken, [])
  })

  it("only the edges leave Effect: no async, no wall clock, no random, no environment in the rooms", () => {
    const banned = /\basync\b|\bDate\.now\(|\bnew Date\(|\bMath\.random\(|\bprocess\.env\b|: any\b|\bas any\b/
    const found = files("src")
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".generated.ts"))
      .filter((file) => !/^src\/(promise|integrations|testing)\//.test(file))
      .flatMap((file) => {
        const lines = read(file).split("\n")
        return lines.flatMap((line, i) => {
          const code = line
            .replace(/\/\/.*$/, "")
            .replace(/^\s*\*.*$|\/\*.*\*\//, "")
            .replace(/"[^"]*"|`[^`]*`/g, "")
          const excused = [lines[i - 1], lines[i - 2]].some((above) => /^\s*\/\//.test(above ?? ""))
          return banned.test(code) && !excused ? [`${file}:${i + 1} ${line.trim()}`] : []
        })
      })
    assert.deepStrictEqual(found, [])
  })

  it("a source file has at most 250 lines", () => {
    const long = files("src")
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".generated.ts"))
      .map((file) => [file, read(file).split("\n").length] as const)
      .filter(([, lines]) => lines > 260)
    assert.deepStrictEqual(long, [])
  })
})
