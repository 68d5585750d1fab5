import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { read, root } from "./Tree.ts"

describe("the README", () => {
  it("shows the program that examples/first.ts is", () => {
    const shown = read("README.md").match(/```ts\n([\s\S]*?)```/)?.[1]
    assert.strictEqual(shown, read("examples/first.ts"))
  })

  it("says what its program prints", () => {
    const printed = execFileSync(process.execPath, ["--conditions=effect-governance-source", "examples/first.ts"], {
      cwd: root,
      encoding: "utf8"
    })
    const lines = printed.trim().split("\n")
    for (const line of lines) assert.include(read("README.md"), `\`${line}\``)
    assert.lengthOf(lines, 2)
  })

  it("has a file behind every path it names", () => {
    const tracked = read("README.md").match(/`((?:src|docs|examples|migrations)\/[\w./-]*[\w/])`/g) ?? []
    assert.isNotEmpty(tracked)
    for (const path of tracked) assert.isTrue(existsSync(join(root, path.replaceAll("`", ""))), path)
  })
})
