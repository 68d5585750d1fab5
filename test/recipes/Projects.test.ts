import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { recipes } from "../../src/cli/recipe/Recipes.ts"
import { root } from "../house/Tree.ts"
import { type Packed, pack } from "./Packed.ts"

let packed: Packed
beforeAll(() => {
  packed = pack()
}, 180_000)
afterAll(() => packed.remove())

describe("a generated project, with the packed package and nothing else but what its package.json names", () => {
  for (const { name } of recipes) {
    it(`${name} type-checks, pays 999.99 at once, and 1000.00 once, after a person agreed (RCP-02, RCP-03, V8-03, L-11)`, () => {
      packed.governance("recipe", name, `my-${name}`)
      const project = join(packed.work, `my-${name}`)
      packed.install(project)
      packed.run(project, join(root, "node_modules/.bin/tsc"), "--noEmit")
      const said = packed.run(project, "npm", "test", "--silent")
      assert.match(said, /^ok: 999\.99 is paid at once; 1000\.00 waits for a person, and one approval pays once$/m)
    }, 120_000)
  }
})
