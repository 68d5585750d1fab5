import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Environment } from "../../src/cli/Environment.ts"
import { recipeFiles, recipes } from "../../src/cli/recipe/Recipes.ts"
import { governance as run } from "../cli/InProcess.ts"
import { read, root } from "../house/Tree.ts"
import { contentOf, scratch } from "./Scratch.ts"

const never = () => {
  throw new Error("a recipe needs no database")
}
const nothing = Environment.of({
  stores: never,
  reader: never,
  services: never,
  owner: never,
  rotation: never,
  keeping: never,
  examine: never
})
const governance = (...args: ReadonlyArray<string>) => Effect.provideService(run(args), Environment, nothing)
const names = recipes.map(({ name }) => name)

describe("governance recipe", () => {
  it("has a directory for every entry of its registry and the other way round, with five files each (RCP-06, RCP-07)", () => {
    assert.deepStrictEqual(readdirSync(join(root, "recipes")).sort(), [...names].sort())
    for (const name of names) {
      assert.sameMembers(
        readdirSync(join(root, "recipes", name)).filter((file) => file !== "node_modules"),
        [...recipeFiles]
      )
    }
  })

  it("pins in its projects exactly the versions that this package is tested with (L-12)", () => {
    const own = JSON.parse(read("package.json"))
    const tested = { ...own.devDependencies, ...own.dependencies, "effect-governance": own.version }
    for (const name of names) {
      const manifest = JSON.parse(read(`recipes/${name}/package.json`))
      const pinned = { ...manifest.dependencies, ...manifest.devDependencies }
      for (const [dependency, version] of Object.entries(pinned)) {
        assert.strictEqual(version, tested[dependency], `${dependency} in the recipe ${name}`)
      }
    }
  })

  it("says first that Microsoft Agent Framework has no JavaScript SDK (DEC-15)", () => {
    assert.match(read("recipes/agt/README.md").split("\n")[0] ?? "", /^Microsoft Agent Framework has no JavaScript SDK/)
  })

  it.effect("lists what there is, as text and as JSON", () =>
    Effect.gen(function* () {
      const listed = yield* governance("recipe", "--list")
      for (const { name, summary } of recipes) assert.match(listed.out, new RegExp(`^${name} +${summary}`, "m"))
      assert.deepStrictEqual(JSON.parse((yield* governance("recipe", "--list", "--json")).out), { recipes })
    })
  )

  it.effect("names the recipes that there are when it does not know one, and writes nothing (RCP-06)", () =>
    Effect.gen(function* () {
      const { work } = yield* scratch
      for (const name of ["crewai", "../agt", "agt/../agt", "constructor", ""]) {
        const ran = yield* governance("recipe", name, join(work, "x"))
        assert.strictEqual(ran.code, 2)
        assert.strictEqual(ran.out, "")
        for (const known of names) assert.include(ran.err, known)
      }
      for (const args of [[], ["agt"]]) assert.strictEqual((yield* governance("recipe", ...args)).code, 2)
      assert.deepStrictEqual(readdirSync(work), [])
    })
  )

  for (const name of names) {
    it.effect(
      `writes ${name} as its template is, with a name in package.json, and touches no database (RCP-01, RCP-05)`,
      () =>
        Effect.gen(function* () {
          const { work } = yield* scratch
          const ran = yield* governance("recipe", name, join(work, "My-Refunds"), "--json")
          assert.strictEqual(ran.code, 0, ran.err)
          assert.deepStrictEqual(JSON.parse(ran.out), {
            recipe: name,
            directory: join(work, "My-Refunds"),
            files: [...recipeFiles],
            movedAside: null
          })
          const { "package.json": manifest = "", ...rest } = contentOf(join(work, "My-Refunds"))
          assert.strictEqual(JSON.parse(manifest).name, "my-refunds")
          assert.strictEqual(
            JSON.parse(manifest).dependencies["effect-governance"],
            JSON.parse(read("package.json")).version
          )
          for (const [file, text] of Object.entries(rest)) assert.strictEqual(text, read(`recipes/${name}/${file}`))
        })
    )
  }

  it.effect("refuses what is there, and says what --force moved where (RCP-04)", () =>
    Effect.gen(function* () {
      const { work } = yield* scratch
      const target = join(work, "refunds")
      assert.strictEqual((yield* governance("recipe", "agt", target)).code, 0)
      rmSync(join(target, "README.md"))
      const refused = yield* governance("recipe", "agt", target)
      assert.deepStrictEqual([refused.code, refused.out], [2, ""])
      assert.match(refused.err, /exists already\. Give a name that is free, or --force/)
      const forced = yield* governance("recipe", "agt", target, "--force")
      assert.match(forced.out, /What was there is now refunds\.before-[0-9a-f]{8}, beside it\./)
      assert.isTrue(existsSync(join(target, "README.md")))
      assert.include(readFileSync(join(target, "README.md"), "utf8"), "Microsoft")
    })
  )
})
