import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted } from "effect"
import * as Memory from "../../src/layers/Memory.ts"
import { operatorChain } from "../../src/schema/Ids.ts"
import { markerKind, markerOf } from "../../src/schema/RotationMarker.ts"
import { AfterRotation, type Rotated } from "../../src/services/KeyRotation.ts"
import { until } from "../faults/Waiting.ts"
import { freshDatabase } from "../support/database.ts"
import { newSecret, operatorDraft, operatorWith, processWith, sealOne, servicesOf, to } from "./Processes.ts"

const inFresh = Effect.provide(freshDatabase, { local: true })
const slow = { hotReloadInterval: "1 hour" } as const

describe("a rotation", () => {
  it.live("in memory and of a secret that was made up: old and new rows verify (ROT-01, ROT-03, ROT-09)", () =>
    Effect.gen(function* () {
      const one = servicesOf(yield* Layer.build(Memory.layer()))
      const before = yield* sealOne(one)
      const rotated = yield* one.rotation.rotate(to(newSecret(), { reason: "the year is over" }))
      const after = yield* sealOne(one)
      assert.deepStrictEqual([rotated.from, rotated.to, rotated.version, rotated.seq], [before, after, 2, 1])
      const [marker] = yield* one.log.find({ chain: operatorChain })
      assert.deepInclude(marker, { kind: markerKind, keyId: before })
      const said = marker === undefined ? null : markerOf(marker)
      assert.deepInclude(said, { _tag: "Some" })
      const report = yield* one.audit.report()
      assert.deepInclude(report, { verdict: "ok", rows: 3, rotationAware: true, firstFailureReason: null })
      assert.isTrue(yield* one.audit.verifyChain())
    }).pipe(Effect.scoped)
  )

  it.live("reaches every process that holds the old secret, at once and without a restart (ROT-01, K-03)", () =>
    Effect.gen(function* () {
      const secret = newSecret()
      const [one, two, three] = yield* Effect.all([
        operatorWith(secret, slow),
        processWith(secret, slow),
        processWith(secret, slow)
      ])
      const old = yield* sealOne(two)
      const minted = two.keys.macOf("gate-token")("a token")
      const rotated = yield* one.rotation.rotate(to(newSecret()))
      // By the signal alone: nobody polls within the hour.
      yield* until(Effect.sync(() => [two, three].every(({ keys }) => keys.current.keyId === rotated.to)))
      for (const process of [one, two, three]) {
        assert.strictEqual(yield* sealOne(process), rotated.to)
        assert.deepStrictEqual(process.follower.standing(), { version: 2, latest: 2 })
        // What was minted before the rotation still resolves, in every process (ROT-08).
        assert.deepStrictEqual(process.keys.macWith(old, "gate-token")?.("a token"), minted)
        assert.strictEqual((yield* process.audit.report()).verdict, "ok")
      }
    }).pipe(Effect.scoped, inFresh)
  )

  it.live("is found by polling where no signal comes, and by a process that starts with the old secret (ROT-01)", () =>
    Effect.gen(function* () {
      const secret = newSecret()
      const one = yield* operatorWith(secret, slow)
      let last = yield* one.rotation.rotate(to(newSecret()))
      // Two more, so that the way leads over secrets that nobody was given.
      for (let i = 0; i < 2; i++) last = yield* one.rotation.rotate(to(newSecret()))
      const late = yield* processWith(secret, slow)
      assert.strictEqual(yield* sealOne(late), last.to)
      assert.deepInclude(yield* late.audit.report(), { verdict: "ok", rows: 4, unresolvedKeyIds: [] })
      const polled = yield* processWith(secret, { hotReloadInterval: "100 millis" })
      // Stopped between commit and signal, as a kill would stop it.
      const cut = Effect.provideService(one.rotation.rotate(to(newSecret())), AfterRotation, () => Effect.never)
      const rotating = yield* Effect.forkChild(cut)
      yield* until(Effect.sync(() => polled.follower.standing().version === 5))
      yield* Fiber.interrupt(rotating)
      assert.strictEqual(yield* sealOne(late), last.to)
      assert.strictEqual(yield* sealOne(polled), polled.keys.current.keyId)
      assert.strictEqual((yield* polled.audit.report()).verdict, "ok")
    }).pipe(Effect.scoped, inFresh)
  )

  it.live(
    "without hand-over leaves the others where they are, loud, until they are given the secret (K-08, CFG-06)",
    () =>
      Effect.gen(function* () {
        const [secret, next] = [newSecret(), newSecret()]
        const one = yield* operatorWith(secret, slow)
        const two = yield* processWith(secret, slow)
        // Given beforehand, as a historic secret is: it is known by its fingerprint and waits for its turn.
        const prepared = yield* processWith(secret, { ...slow, historicSecrets: [Redacted.make(next)] })
        const old = yield* sealOne(two)
        const rotated = yield* one.rotation.rotate(to(next, { handOver: false }))
        assert.isNull((yield* one.registry.read).versions[1]?.handover)
        yield* until(Effect.sync(() => two.follower.standing().latest === 2))
        assert.strictEqual(yield* sealOne(two), old)
        assert.deepStrictEqual(two.follower.standing(), { version: 1, latest: 2 })
        yield* until(Effect.sync(() => prepared.keys.current.keyId === rotated.to))
        // Restarted as the operator is told to: the new secret, and the old one as historic.
        const restarted = yield* processWith(next, { ...slow, historicSecrets: [Redacted.make(secret)] })
        assert.strictEqual(yield* sealOne(restarted), rotated.to)
        assert.strictEqual((yield* restarted.audit.report()).verdict, "ok")
        // Without the old one its rows cannot be judged, which is no tampering (K-06).
        const forgetful = yield* processWith(next, slow)
        const report = yield* forgetful.audit.report()
        assert.deepInclude(report, {
          verdict: "unverifiable",
          unresolvedKeyIds: [old],
          firstFailureReason: `unresolved_key:${old.slice(0, 16)}`
        })
      }).pipe(Effect.scoped, inFresh)
  )

  it.live("may hold both secrets before its time: the registry says which seals (K-05)", () =>
    Effect.gen(function* () {
      const [secret, next] = [newSecret(), newSecret()]
      const one = yield* operatorWith(secret, slow)
      const old = yield* sealOne(one)
      const early = yield* processWith(next, { ...slow, historicSecrets: [Redacted.make(secret)] })
      assert.strictEqual(yield* sealOne(early), old)
      const rotated = yield* one.rotation.rotate(to(next, { handOver: false }))
      yield* until(Effect.sync(() => early.keys.current.keyId === rotated.to))
    }).pipe(Effect.scoped, inFresh)
  )

  it.live("is made by one of two operators; the other is refused, and one marker stands (L-09)", () =>
    Effect.gen(function* () {
      const secret = newSecret()
      const [one, two] = [yield* operatorWith(secret, slow), yield* operatorWith(secret, slow)]
      const exits = yield* Effect.all(
        [one, two].map(({ rotation }) => Effect.exit(rotation.rotate(to(newSecret())))),
        { concurrency: 2 }
      )
      const refused = exits.filter(Exit.isFailure)
      const versions = (yield* one.registry.read).versions.length
      const markers = yield* one.log.find({ chain: operatorChain, kinds: [markerKind] })
      // Either they met, or one came so much later that it rotated again, from the other's key.
      assert.strictEqual(versions, 3 - refused.length)
      assert.strictEqual(markers.length, 2 - refused.length)
      assert.deepInclude(yield* one.audit.report(), { verdict: "ok" })
    }).pipe(Effect.scoped, inFresh)
  )

  it.live(
    "refuses what expects another version, a weak secret, and a key of before, and changes nothing (L-09, K-01, K-08)",
    () =>
      Effect.gen(function* () {
        const secret = newSecret()
        const one = yield* operatorWith(secret, slow)
        const old = yield* sealOne(one)
        for (const weak of ["", "short", "changeme".repeat(8), "a".repeat(64)]) {
          assert.strictEqual((yield* Effect.flip(one.rotation.rotate(to(weak))))._tag, "WeakSecret")
        }
        assert.deepInclude(yield* Effect.flip(one.rotation.rotate(to(secret))), {
          _tag: "RotationRefused",
          problem: "known key"
        })
        assert.strictEqual(yield* sealOne(one), old)
        yield* one.rotation.rotate(to(newSecret()))
        assert.deepInclude(yield* Effect.flip(one.rotation.rotate(to(secret))), { problem: "known key" })
        assert.strictEqual((yield* one.registry.read).versions.length, 2)
        assert.strictEqual((yield* one.log.find({ chain: operatorChain })).length, 1)
      }).pipe(Effect.scoped, inFresh)
  )

  it.live("tells of itself before anybody else is told: there a checkpoint belongs (DEC-21)", () =>
    Effect.gen(function* () {
      const one = yield* operatorWith(newSecret(), slow)
      const told: Array<Rotated> = []
      const rotated = yield* Effect.provideService(one.rotation.rotate(to(newSecret())), AfterRotation, (done) =>
        Effect.sync(() => void told.push(done))
      )
      assert.deepStrictEqual(told, [rotated])
    }).pipe(Effect.scoped, inFresh)
  )

  it.live("finds its place while others write into the same chain (K-04)", () =>
    Effect.gen(function* () {
      const secret = newSecret()
      const [one, two] = [yield* operatorWith(secret, slow), yield* operatorWith(secret, slow)]
      const busy = yield* Effect.forkChild(
        Effect.forever(
          Effect.suspend(() => two.log.append(operatorDraft())).pipe(Effect.andThen(Effect.sleep("2 millis")))
        )
      )
      for (let i = 0; i < 3; i++) yield* one.rotation.rotate(to(newSecret()))
      yield* Fiber.interrupt(busy)
      assert.deepInclude(yield* one.audit.report(), { verdict: "ok", breaks: [] })
    }).pipe(Effect.scoped, inFresh)
  )
})
