import { spawnSync } from "node:child_process"
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { contentOf, type Scratch, scratch, untouched, whole, write } from "./Scratch.ts"

/** What an attacker, or an accident, can put in the way of `work/a/project`. */
const traps: ReadonlyArray<readonly [string, (place: Scratch, target: string) => unknown]> = [
  ["a link to a directory outside", ({ outside }, target) => symlinkSync(outside, target)],
  ["a relative link to a directory outside", (_, target) => symlinkSync("../../outside", target)],
  ["a link to a file outside", ({ canary }, target) => symlinkSync(canary, target)],
  ["a link to nothing, which a write would create", ({ outside }, target) => symlinkSync(join(outside, "new"), target)],
  ["a link to itself", (_, target) => symlinkSync(target, target)],
  ["a link to a directory beside it", ({ work }, target) => symlinkSync(join(work, "a"), target)],
  ["a parent that is a link", ({ outside, work }) => replaceBy(join(work, "a"), outside)],
  [
    "a parent's parent that is a link",
    ({ outside, work }) => {
      mkdirSync(join(outside, "a"))
      replaceBy(work, outside)
    }
  ],
  [
    "a file in it that is a link",
    ({ canary }, target) => {
      mkdirSync(target)
      symlinkSync(canary, join(target, "package.json"))
    }
  ],
  [
    "a file in it that has a second name outside",
    ({ canary }, target) => {
      mkdirSync(target)
      linkSync(canary, join(target, "package.json"))
    }
  ],
  [
    "a file in it that is a pipe",
    (_, target) => {
      mkdirSync(target)
      spawnSync("mkfifo", [join(target, "package.json")])
    }
  ],
  [
    "a file in it that is a socket",
    (_, target) => {
      mkdirSync(target)
      return new Promise((resolve) => {
        const server = createServer().listen(join(target, "package.json"), () => resolve(server.unref()))
      })
    }
  ],
  [
    "a file in it that is a device",
    (_, target) => {
      mkdirSync(target)
      // Only root may make one; a directory in its place is no ordinary file either.
      if (spawnSync("mknod", [join(target, "package.json"), "c", "1", "3"]).status !== 0) {
        mkdirSync(join(target, "package.json"))
      }
    }
  ],
  ["a file", (_, target) => writeFileSync(target, "mine")],
  ["a pipe", (_, target) => spawnSync("mkfifo", [target])]
]

const replaceBy = (directory: string, outside: string) => {
  renameSync(directory, `${directory}-before`)
  symlinkSync(outside, directory)
}

describe("governance recipe, with something in the way", () => {
  for (const [what, set] of traps) {
    for (const force of [false, true]) {
      it.effect(`refuses ${what}${force ? ", with --force too" : ""}, and writes nothing outside (L-01, RCP-04)`, () =>
        Effect.gen(function* () {
          const place = yield* scratch
          const target = join(place.work, "a", "project")
          mkdirSync(join(place.work, "a"))
          yield* Effect.promise(async () => set(place, target))
          const [before, outside] = [lstatSync(target, { throwIfNoEntry: false })?.ino, readdirSync(place.outside)]
          const refusal = yield* Effect.flip(write(target, { force }))
          assert.strictEqual(refusal._tag, "UsageError")
          assert.isNotEmpty(refusal.recoveryHint)
          assert.deepStrictEqual(readdirSync(place.outside), outside)
          assert.deepInclude(contentOf(place.outside), untouched)
          assert.strictEqual(lstatSync(target, { throwIfNoEntry: false })?.ino, before)
          assert.deepStrictEqual(
            readdirSync(place.work).filter((name) => name.startsWith(".governance")),
            []
          )
        })
      )
    }
  }

  it.effect("writes exactly five files into a new directory (RCP-01, RCP-07)", () =>
    Effect.gen(function* () {
      const { work } = yield* scratch
      assert.isUndefined(yield* write(join(work, "project")))
      assert.deepStrictEqual(contentOf(join(work, "project")), whole)
      assert.deepStrictEqual(readdirSync(work), ["project"])
      assert.strictEqual(statSync(join(work, "project")).mode & 0o777, 0o755)
    })
  )

  it.effect("refuses a directory that is there, and with --force renames it with all that is in it (RCP-04)", () =>
    Effect.gen(function* () {
      const { work } = yield* scratch
      const target = join(work, "project")
      mkdirSync(join(target, "deep"), { recursive: true })
      writeFileSync(join(target, "deep/mine.txt"), "mine")
      writeFileSync(join(target, "agent.ts"), "my agent")
      const refusal = yield* Effect.flip(write(target))
      assert.match(refusal.message, /exists already/)
      assert.strictEqual(contentOf(target)["agent.ts"], "my agent")
      const aside = yield* write(target, { force: true })
      assert.match(aside ?? "", /^project\.before-[0-9a-f]{8}$/)
      assert.deepStrictEqual(contentOf(target), whole)
      assert.deepStrictEqual(contentOf(join(work, aside!, "deep")), { "mine.txt": "mine" })
      assert.deepStrictEqual(readdirSync(work).sort(), ["project", aside])
    })
  )

  it.effect("refuses home and repositories with --force too, by what they are and not by their name (RCP-04)", () =>
    Effect.gen(function* () {
      const { work } = yield* scratch
      const target = join(work, "project")
      mkdirSync(join(target, ".git"), { recursive: true })
      assert.match((yield* Effect.flip(write(target, { force: true }))).message, /root of a repository/)
      rmSync(join(target, ".git"), { recursive: true })
      const linked = join(work, "home")
      symlinkSync(target, linked)
      assert.match((yield* Effect.flip(write(target, { force: true, home: linked }))).message, /home directory/)
      assert.isTrue(existsSync(target))
    })
  )

  it.effect("asks for a parent that is there", () =>
    Effect.gen(function* () {
      const { work } = yield* scratch
      const refusal = yield* Effect.flip(write(join(work, "none", "project")))
      assert.match(refusal.message, /does not exist/)
      assert.deepStrictEqual(readdirSync(work), [])
    })
  )
})
