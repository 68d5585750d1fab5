import { spawnSync } from "node:child_process"
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Audit } from "../../src/services/Audit.ts"
import { TestDatabase } from "../support/database.ts"
import * as PostgresServer from "./PostgresServer.ts"
import { admin, governance, mustHold } from "./Truth.ts"
import { appendAll, inMemory } from "./Writing.ts"

const mount = (path: string) =>
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=160m", "governance-test", path]).status === 0
const unmount = (path: string) => spawnSync("umount", ["-l", path])

const mountable = (() => {
  const path = mkdtempSync(join(tmpdir(), "effect-governance-mount-"))
  const can = process.platform === "linux" && mount(path)
  if (can) unmount(path)
  rmSync(path, { recursive: true, force: true })
  return can
})()
if (!mountable) console.warn("F-10 is skipped: a small filesystem cannot be mounted here")

const smallDisk = Effect.acquireRelease(
  Effect.sync(() => {
    const path = mkdtempSync(join(tmpdir(), "effect-governance-disk-"))
    mount(path)
    return path
  }),
  (path) =>
    Effect.sync(() => {
      unmount(path)
      rmSync(path, { recursive: true, force: true })
    })
)

/** Takes all that is left of the disk. */
const fill = (file: string) =>
  Effect.sync(() => {
    const handle = openSync(file, "w")
    const block = Buffer.alloc(64 * 1024)
    let written = 0
    for (let size = block.length; size >= 1; size >>= 4) {
      for (;;) {
        const done = attempt(() => writeSync(handle, block, 0, size))
        if (done === 0) break
        written += done
      }
    }
    closeSync(handle)
    return written
  })

const attempt = (write: () => number): number => {
  try {
    return write()
  } catch {
    return 0
  }
}

const inSmallDisk = Layer.unwrap(
  Effect.map(smallDisk, (disk) => {
    const dataDir = join(disk, "data")
    mkdirSync(dataDir, { mode: 0o700 })
    return PostgresServer.layer({ dataDir })
  })
)

describe.skipIf(!mountable)("a disk that is full", () => {
  it.live(
    "makes enforcement refuse and the log spill; when there is room again everything acknowledged is stored (F-10)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const server = yield* PostgresServer.PostgresServer
        const recorder = inMemory()
        const use = Effect.gen(function* () {
          const audit = yield* Audit
          const append = (count: number, how: "log" | "require") =>
            appendAll(audit, recorder, { sessions: "c", chains: 2, count, fibers: 16, how })
          yield* append(100, "require")
          const filler = join(server.dataDir, "..", "filler")
          assert.isAbove(yield* fill(filler), 0)
          // What is left of the write-ahead log's file still takes a few.
          const padding = "x".repeat(30_000)
          let refused: string | undefined
          for (let i = 0; refused === undefined && i < 2000; i++) {
            const exit = yield* Effect.exit(
              audit.require({ kind: "padding", agentId: "clerk", sessionId: "padding", metadata: { padding } })
            )
            if (exit._tag === "Failure") {
              const [reason] = exit.cause.reasons
              refused = reason?._tag === "Fail" ? reason.error._tag : "threw"
            }
          }
          assert.strictEqual(refused, "StoreError")
          yield* append(50, "log")
          rmSync(filler)
          // A server whose log had no room has ended itself; one that only refused goes on.
          const answers = Effect.timeout(admin("SELECT 1"), "3 seconds")
          const alive = yield* Effect.exit(Effect.retry(answers, { times: 3 }))
          if (alive._tag === "Failure") {
            yield* server.stop("kill")
            yield* server.start
          }
          for (let i = 0; (yield* audit.stats).waiting > 0 && i < 200; i++) yield* Effect.sleep("50 millis")
          assert.strictEqual((yield* audit.stats).waiting, 0)
          yield* append(20, "require")
        })
        yield* Effect.provide(use, governance(appUrl), { local: true })
        yield* mustHold(recorder.history())
      }).pipe(Effect.scoped, Effect.provide(inSmallDisk, { local: true })),
    60_000
  )
})
