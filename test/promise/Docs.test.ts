import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../..")
const read = (file: string) => readFileSync(join(root, file), "utf8")
const guide = read("docs/promise.md")

describe("the guide to promises", () => {
  it("begins with the program that is run in the tests (SYN-02)", () => {
    assert.strictEqual(guide.match(/```js\n([\s\S]*?)```/)?.[1], read("examples/plain-script.mjs"))
  })

  it("has a file behind every path it names", () => {
    const paths = guide.match(/`(?:docs|examples|src)\/[\w./-]*`/g) ?? []
    assert.isAbove(paths.length, 4)
    for (const path of paths) assert.isTrue(existsSync(join(root, path.replaceAll("`", ""))), path)
  })
})
