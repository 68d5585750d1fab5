import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { CheckpointSinks, makeMemory } from "../../src/services/CheckpointSink.ts"
import { reseal } from "../checkpoints/World.ts"
import { freshDatabase } from "../support/database.ts"
import { newSecret, operatorWith, processWith, sealOne, to } from "./Processes.ts"

const inFresh = Effect.provide(freshDatabase, { local: true })
const checkpointKey = "4f8d1e7a".repeat(8)

describe("the checkpoint at a rotation", () => {
  it.live("names the old rows that a thief of the old secret seals anew; the chain alone does not (DEC-21, K-08)", () =>
    Effect.gen(function* () {
      const [stolen, next] = [newSecret(), newSecret()]
      const one = yield* operatorWith(stolen, { checkpointKey, checkpointInterval: "1 hour" })
      for (let row = 0; row < 4; row++) yield* sealOne(one)
      const { seq } = yield* one.rotation.rotate(to(next, { handOver: false, reason: "the old one leaked" }))
      const made = yield* one.checkpoints.latest
      // The session and the marker, whatever the fiber that makes checkpoints saw before.
      assert.deepInclude(yield* one.checkpoints.examine(), { verdict: "ok", coveredRows: 4 + seq })
      yield* sealOne(one, "later")

      const thief = yield* ChainKeys.make({ secret: Redacted.make(stolen), ephemeralAllowed: false })
      yield* reseal(one.log, "s1", 2, thief.current)
      const verifier = yield* processWith(next, { historicSecrets: [Redacted.make(stolen)] })
      assert.deepInclude(yield* verifier.audit.report(), { verdict: "ok", firstFailureReason: null })
      const report = yield* one.checkpoints.examine()
      assert.strictEqual(report.verdict, "rewritten")
      // The fiber that makes checkpoints may have covered a part of the session before: whatever it saw is named as well.
      assert.isTrue(report.findings.every(({ chain }) => chain === "session:s1"))
      const last = report.findings.find(({ seq }) => seq === 4)
      assert.isAtMost(last?.checkpoint ?? Number.NaN, made?.size ?? 0)
    }).pipe(Effect.scoped, inFresh)
  )

  it.live(
    "is missing where nobody has a key, and where one may not be made; the rotation counts all the same (K-03)",
    () =>
      Effect.gen(function* () {
        const secrets = [newSecret(), newSecret(), newSecret()] as const
        const none = yield* operatorWith(secrets[0])
        assert.strictEqual((yield* none.rotation.rotate(to(secrets[1]))).version, 2)
        assert.isNull(yield* none.checkpoints.latest)

        const first = yield* operatorWith(secrets[1], { checkpointKey })
        assert.isNotNull(yield* first.checkpoints.make)
        const stranger = yield* operatorWith(secrets[1], {
          checkpointKey: "77".repeat(32),
          historicSecrets: [Redacted.make(secrets[0])]
        })
        const rotated = yield* stranger.rotation.rotate(to(secrets[2]))
        assert.deepStrictEqual([rotated.version, stranger.keys.current.keyId], [3, rotated.to])
        assert.strictEqual((yield* Effect.flip(stranger.checkpoints.make))._tag, "OtherIdentity")
        assert.strictEqual((yield* stranger.audit.report()).verdict, "ok")
      }).pipe(Effect.scoped, inFresh)
  )

  it.live("goes to the sinks with the marker in it, before the rotation is answered for (BEY-04)", () => {
    const sink = makeMemory("elsewhere")
    return Effect.gen(function* () {
      const one = yield* operatorWith(newSecret(), { checkpointKey, checkpointInterval: "1 hour" })
      const { seq } = yield* one.rotation.rotate(to(newSecret()))
      const leaves = sink.entries.flatMap((entry) => (entry._tag === "Checkpoint" ? entry.leaves : []))
      assert.isTrue(leaves.some((leaf) => leaf.chain === "operator" && leaf.seq === seq))
    }).pipe(Effect.scoped, Effect.provide(Layer.succeed(CheckpointSinks, [sink])), inFresh)
  })
})
