import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../..")

it("docs/security.md has thirteen points, and every test that it names exists (SEC-01, OQ-18)", () => {
  const page = readFileSync(join(root, "docs/security.md"), "utf8")
  assert.strictEqual(page.match(/^\| \d+ \|/gm)?.length, 13)
  const named = [...page.matchAll(/`(test\/[^`]+\.ts)`/g)].map(([, file]) => file!)
  assert.isAbove(named.length, 10)
  assert.deepStrictEqual(
    named.filter((file) => !existsSync(join(root, file))),
    []
  )
})
