import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Effect } from "effect"

/** A directory of the test's own, for what processes leave on disk. */
export const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-governance-spool-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Asks ten times a second for 15 s. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (let i = 0; i < 150; i++) {
      if (yield* condition) return
      yield* Effect.sleep("100 millis")
    }
    return assert.fail("it did not come to be so")
  })
