import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Result } from "effect"
import type { KeyId } from "../../src/schema/Ids.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { maxKeys } from "../../src/services/KeyRing.ts"
import { newSecret } from "./Processes.ts"

const keysOf = (secret: string, historic: ReadonlyArray<string> = []) =>
  ChainKeys.make({
    secret: Redacted.make(secret),
    historic: historic.map((one) => Redacted.make(one)),
    ephemeralAllowed: false
  })
const learn = ({ ring }: ChainKeys.ChainKeys["Service"], secret: string): KeyId =>
  Result.getOrThrow(ring.learn(Redacted.make(secret)))
const deploymentId = "00000000-0000-4000-8000-000000000000"

describe("the ring of keys", () => {
  it.effect("switches for the next row, and what is not held it does not switch to (ROT-01)", () =>
    Effect.gen(function* () {
      const next = newSecret()
      const keys = yield* keysOf(newSecret())
      const [before, fingerprint] = [keys.current, keys.fingerprint]
      const to = learn(keys, next)
      assert.strictEqual(keys.current, before)
      assert.isFalse(keys.ring.switchTo((yield* keysOf(newSecret())).current.keyId))
      assert.strictEqual(keys.current, before)
      assert.isTrue(keys.ring.switchTo(to))
      assert.strictEqual(keys.current.keyId, to)
      assert.notStrictEqual(keys.fingerprint, fingerprint)
      assert.deepStrictEqual(keys.keyIds(), [to, before.keyId])
      assert.deepStrictEqual(keys.macOf("gate-token")("x"), (yield* keysOf(next)).macOf("gate-token")("x"))
      assert.deepStrictEqual(keys.macFor(before.keyId)?.("row"), before.mac("row"))
    })
  )

  it.effect("holds 64 secrets, lets the longest unused go, and never the current one (ROT-05)", () =>
    Effect.gen(function* () {
      const keys = yield* keysOf(newSecret())
      const own = keys.current.keyId
      const learned: Array<KeyId> = []
      for (let i = 0; i < maxKeys - 1; i++) learned.push(learn(keys, newSecret()))
      assert.strictEqual(keys.keyIds().length, maxKeys)
      // Used again, so the second is now the one that was used longest ago.
      assert.isDefined(keys.macFor(learned[0]!))
      const last = learn(keys, newSecret())
      assert.strictEqual(keys.keyIds().length, maxKeys)
      assert.isUndefined(keys.macFor(learned[1]!))
      for (const keyId of [own, learned[0]!, last]) assert.isDefined(keys.macFor(keyId))
    })
  )

  it.effect("hands a secret over to holders of the outgoing one, for one rotation of one deployment (K-04, K-12)", () =>
    Effect.gen(function* () {
      const [older, newer] = [newSecret(), newSecret()]
      const giver = yield* keysOf(older, [newer])
      const from = giver.current.keyId
      const to = learn(giver, newer)
      const handover = { deploymentId, version: 2, from, to }
      const box = giver.ring.wrap(handover)
      assert.isDefined(box)
      if (box === undefined) return
      assert.notInclude(Buffer.from(box).toString("hex"), newer)
      assert.notDeepEqual(box, giver.ring.wrap(handover))

      const taker = yield* keysOf(older)
      assert.isFalse((yield* keysOf(newSecret())).ring.unwrap(handover, box))
      for (const wrong of [
        { ...handover, version: 3 },
        { ...handover, deploymentId: "another" },
        { ...handover, to: from },
        { ...handover, from: to }
      ]) {
        assert.isFalse(taker.ring.unwrap(wrong, box))
      }
      for (let i = 0; i < box.length; i++) {
        const bent = Uint8Array.from(box)
        bent[i] = bent[i]! ^ 1
        assert.isFalse(taker.ring.unwrap(handover, bent), `byte ${i}`)
        assert.isFalse(taker.ring.unwrap(handover, box.subarray(0, i)), `cut at ${i}`)
      }
      assert.isUndefined(taker.macFor(to))
      assert.isTrue(taker.ring.unwrap(handover, box))
      assert.isTrue(taker.ring.switchTo(to))
      assert.deepStrictEqual(taker.current.mac("row"), (yield* keysOf(newer)).current.mac("row"))
      const printed = inspect([taker, giver, box], { depth: 9, showHidden: true })
      assert.notInclude(printed, newer)
      assert.notInclude(printed, older)
    })
  )

  it.effect("takes two historic secrets under variables whose suffix begins alike: both are tried (K-07, CFG-06)", () =>
    Effect.gen(function* () {
      const [a, b] = [newSecret(), newSecret()]
      const keys = yield* keysOf(newSecret(), [a, b])
      for (const secret of [a, b]) {
        const alone = yield* keysOf(secret)
        assert.deepStrictEqual(keys.macFor(alone.current.keyId)?.("row"), alone.current.mac("row"))
      }
    })
  )
})
