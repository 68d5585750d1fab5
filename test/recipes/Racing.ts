import { mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { contentOf, scratch, untouched, whole, write } from "./Scratch.ts"

/** What a second thread swaps for a link to the outside, as fast as it can, while projects are written. */
export const races = ["target", "parent", "temporary directory"] as const

/**
 * Writes projects until so many swaps have happened. Whatever comes of each, nothing outside changes, and what it calls written
 * is written whole (L-02, G25). Answers how many were written and how many refused.
 */
export const race = Effect.fnUntraced(function* (what: (typeof races)[number], swaps: number) {
  const { outside, work } = yield* scratch
  const parent = join(work, "parent")
  mkdirSync(parent)
  const target = join(parent, "project")
  if (what === "target") mkdirSync(target)
  symlinkSync(outside, join(work, "link"))
  const counted = new Int32Array(new SharedArrayBuffer(8))
  const worker = yield* swapper(what, { parent, target, work, outside }, counted)
  let [written, refused] = [0, 0]
  // A thread that gets too little of the machine to keep up must not make this endless.
  while (Atomics.load(counted, 0) < swaps && written + refused < swaps) {
    const result = yield* Effect.result(write(target, { force: true }))
    if (result._tag === "Success") written++
    else refused++
    assert.deepStrictEqual(contentOf(outside), untouched)
    if (what === "temporary directory") removeReplaced(parent)
  }
  yield* worker.stop
  assert.deepStrictEqual(contentOf(outside), untouched)
  // Whatever got a project's name by our hand is whole; the swapper's own directories are empty.
  for (const place of projectsIn(work)) assert.include([0, 5], Object.keys(contentOf(place)).length)
  if (what !== "temporary directory") {
    const last = yield* write(join(work, "last"))
    assert.isUndefined(last)
    assert.deepStrictEqual(contentOf(join(work, "last")), whole)
  }
  return { written, refused }
})

/** What `--force` has put aside. Thousands of them would slow the other thread down until it sees nothing any more. */
const removeReplaced = (parent: string) => {
  for (const name of readdirSync(parent)) {
    if (name.startsWith("project.before-")) rmSync(join(parent, name), { recursive: true, force: true })
  }
}

const projectsIn = (work: string): ReadonlyArray<string> =>
  readdirSync(work, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => readdirSync(join(work, entry.name), { withFileTypes: true }).map((inner) => ({ entry, inner })))
    .filter(({ inner }) => inner.isDirectory() && inner.name.startsWith("project"))
    .map(({ entry, inner }) => join(work, entry.name, inner.name))

const swapper = (what: string, places: object, counted: Int32Array) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const worker = new Worker(new URL("./swapper.ts", import.meta.url), { workerData: { what, ...places, counted } })
      const over = new Promise<void>((resolve) => worker.once("exit", () => resolve()))
      const stop = Effect.andThen(
        Effect.sync(() => Atomics.store(counted, 1, 1)),
        Effect.promise(() => over)
      )
      return { stop }
    }),
    ({ stop }) => stop
  )
