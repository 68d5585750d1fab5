import { spawn } from "node:child_process"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Embedded from "../../src/layers/Embedded.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { root } from "../house/Tree.ts"
import { sealOne, servicesOf } from "../rotation/Processes.ts"
import { scratch } from "./Waiting.ts"

/** The command in a process of its own, killed with -9 after the given time unless it has ended before. */
const rotate = (dataDir: string, killAfterMs: number) =>
  Effect.callback<{ readonly killed: boolean; readonly ms: number }>((resume) => {
    const began = performance.now()
    const args = [join(root, "src/cli/main.ts"), "rotate-chain-key", "--by", "alice", "--data-dir", dataDir]
    const child = spawn(process.execPath, args, { stdio: "ignore", env: { PATH: process.env.PATH } })
    const timer = setTimeout(() => child.kill("SIGKILL"), killAfterMs)
    child.on("close", (_, signal) => {
      clearTimeout(timer)
      resume(Effect.succeed({ killed: signal === "SIGKILL", ms: performance.now() - began }))
    })
  })

const program = Effect.fnUntraced(function* (dataDir: string) {
  const layer = Postgres.layerEmbedded({ dataDir, testMode: true })
  return servicesOf(yield* Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), yield* Effect.scope))
})

/** After every kill a program that starts then writes and verifies, whichever step the rotation had come to (K-05). */
export const killRotations = Effect.fnUntraced(function* (kills: number) {
  const dataDir = join(yield* scratch, "data")
  yield* Layer.build(Embedded.layer({ dataDir, durable: false }))
  yield* Effect.scoped(Effect.flatMap(program(dataDir), sealOne))
  const whole = yield* rotate(dataDir, 60_000)
  assert.isFalse(whole.killed)
  let killed = 0
  for (let i = 0; i < kills; i++) {
    // Its last third is where the work is done; before that it loads and connects.
    const ended = yield* rotate(dataDir, whole.ms * (0.55 + (0.45 * (i + 0.5)) / kills))
    if (ended.killed) killed++
    yield* Effect.scoped(
      Effect.gen(function* () {
        const started = yield* program(dataDir)
        const { versions } = yield* started.registry.read
        assert.strictEqual(yield* sealOne(started), versions.at(-1)?.keyId)
        assert.deepInclude(yield* started.audit.report(), { verdict: "ok", unresolvedKeyIds: [] }, `kill ${i}`)
      })
    )
  }
  return { killed }
})
