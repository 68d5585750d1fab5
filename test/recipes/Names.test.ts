import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { projectFiles } from "../../src/cli/recipe/ProjectFiles.ts"
import { nameProblem, packageNameOf } from "../../src/cli/recipe/ProjectName.ts"
import { isBad, targetOf } from "../../src/cli/recipe/ProjectTarget.ts"

const cwd = "/home/ada/work"
const home = "/home/ada"
const problemOf = (path: string, from = cwd) => {
  const target = targetOf(path, from, home)
  return isBad(target) ? target.problem : undefined
}

describe("a project's path", () => {
  const badNames = [
    ...["a\0b", "..", ".", "", "/", "//", "../..", "a/../..", "/home", "/home/ada", "/home/ada/", "/home/ada/work"],
    ...["a.", "a ", " a", "a\n", "a\tb", "CON", "con.txt", "nul", "Aux.tar.gz", "COM1", "lpt9", "x".repeat(101)],
    ...["é", "☃", "\u202egnp", "ｆｕｌｌ", "a:b", "a\\b", 'a"b', "a'b", "a`b", "$(id)", "a;b", "-rf", ".hidden", "_x"],
    ...["a*", "a?", "<a>", "a|b", "a%b", "node_modules", "favicon.ico", "{{name}}", "a b", "x".repeat(300), "~"]
  ]
  for (const name of badNames) {
    it(`${JSON.stringify(name.slice(0, 24))} is refused (L-03, RCP-04)`, () => {
      assert.isString(problemOf(name))
    })
  }

  it("is taken below the current directory from there, and anywhere else from the root (L-01, L-03)", () => {
    const name = "refunds"
    assert.deepStrictEqual(targetOf("a/../b/refunds/", cwd, home), {
      path: join(cwd, "b/refunds"),
      base: ".",
      parents: ["b"],
      name
    })
    const up = { path: "/home/ada/refunds", base: "/", parents: ["home", "ada"], name }
    assert.deepStrictEqual(targetOf("../refunds", cwd, home), up)
    assert.deepStrictEqual(targetOf("/home/ada/refunds", cwd, home), up)
    assert.deepInclude(targetOf("..refunds/../x", cwd, home), { base: ".", name: "x" })
  })

  it("may not hold the current or the home directory, whatever it is called (RCP-04)", () => {
    assert.match(problemOf("/home/ada/work", "/home/ada/work/deep") ?? "", /holds the current directory/)
    assert.match(problemOf("/home", "/srv") ?? "", /holds your home directory/)
    assert.match(problemOf("ada", "/home") ?? "", /is your home directory/)
    assert.match(problemOf("home", "/") ?? "", /holds your home directory/)
  })
})

describe("a project's name", () => {
  it("is encoded into package.json by grammar, and differs from whatever the project installs (L-11)", async () => {
    const template = (file: string) =>
      Effect.succeed(
        file === "package.json"
          ? '{"name":"x","type":"module","dependencies":{"ai":"7.0.0"},"devDependencies":{}}'
          : file
      )
    for (const name of ["Refunds", "ai", "effect-governance", "A.b_c-9", "__proto__".slice(2, 7), "constructor"]) {
      assert.isUndefined(nameProblem(name))
      const files = await Effect.runPromise(projectFiles(name, "1.2.3", template))
      const manifest = JSON.parse(files.find((file) => file.name === "package.json")!.text)
      assert.match(manifest.name, /^[a-z0-9][a-z0-9._-]*$/)
      assert.deepStrictEqual(manifest.dependencies, { ai: "7.0.0", "effect-governance": "1.2.3" })
      assert.strictEqual(manifest.type, "module")
      assert.notInclude(Object.keys(manifest.dependencies), manifest.name)
    }
    assert.strictEqual(packageNameOf("AI", ["ai"]), "ai-project")
  })
})
