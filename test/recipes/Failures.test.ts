import { spawn, spawnSync } from "node:child_process"
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { problemOf } from "../../src/cli/recipe/FileProblem.ts"
import { recipeFiles } from "../../src/cli/recipe/Recipes.ts"
import { root } from "../house/Tree.ts"
import { contentOf, scratch, whole, write } from "./Scratch.ts"

const steps = ["hold", "look", "begin", ...recipeFiles, "publish"]
const noRoom = (step: string, at: string) => (step === at ? Effect.fail(problemOf("the path", "ENOSPC")) : Effect.void)

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
}

const run = (file: string, args: ReadonlyArray<string>, options: object = {}) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(process.execPath, [file, ...args], { stdio: ["ignore", "pipe", "pipe"], ...options })
    let out = ""
    child.stdout.on("data", (part) => {
      out += part
    })
    child.stderr.on("data", (part) => {
      out += part
    })
    child.on("close", (code, signal) => resume(Effect.succeed({ code, signal, out })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const main = join(root, "src/cli/main.ts")
const writer = join(import.meta.dirname, "writer.ts")

describe("governance recipe, when it fails", () => {
  for (const step of steps) {
    for (const force of [false, true]) {
      it.effect(`leaves nothing at "${step}"${force ? ", and what was there as it was" : ""} (L-04)`, () =>
        Effect.gen(function* () {
          const { work } = yield* scratch
          const target = join(work, "project")
          if (force) {
            mkdirSync(target)
            writeFileSync(join(target, "mine"), "mine")
          }
          const refusal = yield* Effect.flip(write(target, { force, before: (at) => noRoom(at, step) }))
          assert.match(refusal.message, /disk is full/)
          assert.deepStrictEqual(readdirSync(work), force ? ["project"] : [])
          if (force) assert.deepStrictEqual(contentOf(target), { mine: "mine" })
        })
      )
    }
  }

  for (const step of steps) {
    it.effect(`is stopped by Ctrl-C at "${step}": exit 130, nothing is left (L-04)`, () =>
      Effect.gen(function* () {
        const { work } = yield* scratch
        const ended = yield* run(writer, [join(work, "project"), step, "SIGINT"])
        assert.strictEqual(ended.code, 130, ended.out)
        assert.deepStrictEqual(readdirSync(work), [])
      })
    )
  }

  for (const step of ["begin", "package.json", "publish"]) {
    it.effect(
      `is killed at "${step}": no project, not even half of one, and the next run is not in its way (L-04)`,
      () =>
        Effect.gen(function* () {
          const { work } = yield* scratch
          const target = join(work, "project")
          const ended = yield* run(writer, [target, step, "SIGKILL"])
          assert.strictEqual(ended.signal, "SIGKILL")
          assert.notInclude(readdirSync(work), "project")
          yield* write(target)
          assert.deepStrictEqual(contentOf(target), whole)
        })
    )
  }

  it.effect("says that it may not write, exits with 2, and leaves nothing (L-04)", () =>
    Effect.gen(function* () {
      const { work } = yield* scratch
      chmodSync(work, 0o555)
      const asRoot = process.geteuid?.() === 0
      chmodSync(join(work, ".."), 0o755)
      // Root may write anywhere, so somebody else has to try.
      const ended = yield* run(main, ["recipe", "agt", "project"], {
        cwd: work,
        ...(asRoot ? { uid: 65534, gid: 65534 } : {})
      })
      assert.strictEqual(ended.code, 2, ended.out)
      assert.match(ended.out, /project cannot be written\. Check whom the directory/)
      assert.deepStrictEqual(readdirSync(work), [])
    })
  )

  it.effect("passes through a parent that it may not list", () =>
    Effect.gen(function* () {
      const { work } = yield* scratch
      const [closed, open] = [join(work, "closed"), join(work, "closed/open")]
      mkdirSync(open, { recursive: true })
      for (const directory of [join(work, ".."), work]) chmodSync(directory, 0o755)
      chmodSync(closed, 0o711)
      if (process.geteuid?.() === 0) chownSync(open, 65534, 65534)
      const user = process.geteuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
      const ended = yield* run(main, ["recipe", "agt", join(open, "project")], { cwd: "/", ...user })
      assert.strictEqual(ended.code, 0, ended.out)
      assert.sameMembers(readdirSync(join(open, "project")), [...recipeFiles])
    })
  )

  it.effect.skipIf(!mountable())("says that the disk is full, and leaves nothing on it (L-04)", () =>
    Effect.gen(function* () {
      const disk = yield* smallDisk
      for (const room of [0, 4096, 8192]) {
        writeFileSync(join(disk, "filler"), Buffer.alloc(65_536 - 4096 - room))
        const refusal = yield* Effect.flip(
          write(
            join(disk, "project"),
            {},
            [...Array(5).keys()].map((i) => ({ name: recipeFiles[i]!, text: "x".repeat(9000) }))
          )
        )
        assert.match(refusal.message, /disk is full/)
        assert.deepStrictEqual(readdirSync(disk), ["filler"])
        rmSync(join(disk, "filler"))
      }
    })
  )
})

const mount = (path: string) =>
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "governance-test", path]).status === 0

const newPlace = () => mkdtempSync(join(realpathSync(tmpdir()), "governance-recipe-disk-"))

const unmount = (path: string) => {
  spawnSync("umount", ["-l", path])
  rmSync(path, { recursive: true, force: true })
}

function mountable(): boolean {
  const path = newPlace()
  const can = process.platform === "linux" && mount(path)
  unmount(path)
  if (!can) console.warn("L-04 on a full disk is skipped: a small filesystem cannot be mounted here")
  return can
}

const smallDisk = Effect.acquireRelease(
  Effect.sync(() => {
    const path = newPlace()
    mount(path)
    return path
  }),
  (path) => Effect.sync(() => unmount(path))
)
