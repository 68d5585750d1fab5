import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Memory from "../../src/layers/Memory.ts"
import * as Audit from "../../src/services/Audit.ts"
import { CheckpointCoverage, layer as layerRetention, Retention } from "../../src/services/Retention.ts"
import * as Settings from "../../src/services/Settings.ts"

/** Without what looks after calls every few seconds: half a year passes at once here. */
const world = layerRetention.pipe(
  Layer.provideMerge(Audit.layerWith()),
  Layer.provideMerge(Memory.layerStores),
  Layer.provideMerge(Settings.layer())
)

describe("a seal", () => {
  it.effect(
    "waits until a checkpoint covers it; then its rows go under the same seal, 183 days old (BEY-04, CMP-15)",
    () => {
      let covered = 0
      const coverage = Layer.succeed(CheckpointCoverage, (sealSeq: number) => Effect.succeed(sealSeq <= covered))
      return Effect.gen(function* () {
        const audit = yield* Audit.Audit
        const retention = yield* Retention
        const log = audit.require({ kind: "step", agentId: "clerk", sessionId: "s1" })
        yield* log
        yield* TestClock.adjust(Duration.days(182))
        yield* log
        const prune = retention.prune({ olderThan: Duration.days(183), by: "ann" })
        assert.deepStrictEqual(yield* prune, { pruned: [], waiting: [], refused: [] })
        yield* TestClock.adjust(Duration.days(2))
        const first = yield* prune
        assert.deepStrictEqual([first.pruned.length, first.waiting.length], [0, 1])
        assert.strictEqual((yield* audit.report()).rows, 3)
        covered = 1
        const second = yield* prune
        assert.deepStrictEqual(
          second.pruned.map(({ seal, toSeq }) => ({ seal, toSeq })),
          [{ seal: first.waiting[0]!.seal, toSeq: 1 }]
        )
        const report = yield* audit.report()
        assert.deepStrictEqual([report.verdict, report.rows], ["ok", 3])
      }).pipe(Effect.provide(world.pipe(Layer.provide(coverage))))
    }
  )
})
