import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { newSecret, operatorWith, to } from "../rotation/Processes.ts"
import { TestDatabase } from "../support/database.ts"
import * as Processes from "./Processes.ts"
import { mustHold } from "./Truth.ts"
import { until } from "./Waiting.ts"

/**
 * Rotates while processes write, each at its pace. What must hold: no append was refused, nothing is lost, every verdict is
 * ok, and what was minted under the first key resolves in every process at the end.
 */
export const rotateUnderFire = Effect.fnUntraced(function* (options: {
  readonly processes: number
  readonly rotations: number
  /** Events a process writes between two rotations. */
  readonly events: number
}) {
  const { appUrl } = yield* TestDatabase
  const processes = yield* Processes.make
  const operator = yield* operatorWith(Processes.auditSecret)
  const first = operator.keys.current.keyId
  const minted = Buffer.from(operator.keys.macOf("gate-token")("a token")).toString("hex")
  const workers = yield* Effect.forEach(
    Array.from({ length: options.processes }, (_, i) => `writer-${i}`),
    (name) => processes.worker({ name, url: appUrl })
  )
  let [acknowledged, retries, verdicts] = [0, 0, 0]
  const began = performance.now()
  for (let round = 0; round < options.rotations; round++) {
    const writing = yield* Effect.forkChild(
      Effect.forEach(
        workers,
        (worker) =>
          worker.ask({ do: "append", sessions: "c", chains: 4, count: options.events, fibers: 8, how: "require" }),
        { concurrency: "unbounded" }
      )
    )
    yield* Effect.sleep("50 millis")
    yield* operator.rotation.rotate(to(newSecret()))
    const report = yield* operator.audit.report()
    assert.deepInclude(report, { verdict: "ok", breaks: [], unresolvedKeyIds: [] })
    verdicts++
    for (const done of yield* Fiber.join(writing)) {
      acknowledged += done.acknowledged
      retries += done.retries
    }
  }
  const seconds = (performance.now() - began) / 1000
  for (const worker of workers) {
    yield* until(
      Effect.map(worker.ask({ do: "keys", under: first }), ({ current }) => current === operator.keys.current.keyId)
    )
    assert.strictEqual((yield* worker.ask({ do: "keys", under: first })).mac, minted)
  }
  assert.strictEqual((yield* operator.registry.read).versions.length, options.rotations + 1)
  assert.strictEqual(retries, 0)
  const { rows } = yield* mustHold(yield* processes.history)
  // Every event once, and one marker a rotation.
  assert.strictEqual(rows, acknowledged + options.rotations)
  return { acknowledged, verdicts, perSecond: Math.round(acknowledged / seconds) }
})
