import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterAll, beforeAll } from "vitest"
import { locateBinaries } from "../../src/layers/embedded/Binaries.ts"
import { copyBinaries } from "../../src/layers/embedded/BinaryCopy.ts"
import { cleanUp, newDirectory } from "./Opening.ts"

const before = process.env.TMPDIR
beforeAll(() => {
  process.env.TMPDIR = newDirectory()
})
afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  cleanUp()
})

const copy = Effect.gen(function* () {
  const native = yield* locateBinaries(`${process.platform}-${process.arch}`)
  const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8"))
  return yield* copyBinaries(native, links, (tree) => existsSync(tree))
})

describe("the copy of the binaries", () => {
  it.effect("runs, with the library links that a blocked install script did not make, and is made once", () =>
    Effect.gen(function* () {
      const tree = yield* copy
      assert.strictEqual(spawnSync(join(tree, "bin", "initdb"), ["--version"]).status, 0)
      assert.strictEqual(spawnSync(join(tree, "bin", "postgres"), ["--version"]).status, 0)
      assert.strictEqual(statSync(tree).mode & 0o777, 0o755)
      assert.strictEqual(yield* copy, tree)
      assert.strictEqual(readdirSync(process.env.TMPDIR!).length, 1)
    })
  )

  it.effect("one that others may write, or from which something is missing, is not believed", () =>
    Effect.gen(function* () {
      const first = yield* copy
      chmodSync(first, 0o777)
      const second = yield* copy
      assert.notStrictEqual(second, first)
      rmSync(join(second, "share", "postgresql", "postgres.bki"))
      const third = yield* copy
      assert.notInclude([first, second], third)
    })
  )
})
