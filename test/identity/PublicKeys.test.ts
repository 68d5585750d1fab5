import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { generatePrivateKey } from "../../src/layers/keys/PrivateKey.ts"
import { checkPublicKey, fingerprintOf, possessionText } from "../../src/schema/AgentKey.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { areSigned, isSignedBy, publicKeyFrom, publicKeyOf } from "../../src/services/Ed25519.ts"
import { sha256OfText } from "../../src/services/TextDigests.ts"
import * as Vectors from "../schema/Vectors.ts"
import * as Curve from "./Curve.ts"
import { anySigner } from "./Keys.ts"

const problemOf = (key: Uint8Array) =>
  Result.match(checkPublicKey(key), { onFailure: ({ problem }) => problem, onSuccess: () => null })
const accepts = (key: Uint8Array, text: string, signature: Uint8Array) =>
  Result.match(
    Result.try(() => publicKeyFrom(key)),
    {
      onFailure: () => false,
      onSuccess: (ready) => isSignedBy(ready, text, signature)
    }
  )

interface Wycheproof {
  readonly testGroups: ReadonlyArray<{
    readonly publicKey: { readonly pk: string }
    readonly tests: ReadonlyArray<{
      readonly tcId: number
      readonly msg: string
      readonly sig: string
      readonly result: string
    }>
  }>
}

describe("an Ed25519 public key", () => {
  it("is refused when it is one of the eight points of small order, under which one signature fits many messages (K-10)", () => {
    const points = Curve.torsion()
    assert.strictEqual(new Set(points.map((point) => Buffer.from(Curve.encode(point)).toString("hex"))).size, 8)
    for (const point of points) assert.strictEqual(problemOf(Curve.encode(point)), "smallOrder")
  })

  it("is refused in every encoding but the one of RFC 8032: y not below the prime, a sign where x is 0 (K-10)", () => {
    for (let n = 0n; n < 19n; n++) {
      for (const sign of [0n, 1n]) {
        assert.strictEqual(problemOf(Curve.littleEndian(Curve.p + n + (sign << 255n))), "nonCanonical")
      }
    }
    for (const y of [1n, Curve.p - 1n])
      assert.strictEqual(problemOf(Curve.littleEndian(y + (1n << 255n))), "smallOrder")
  })

  it("is refused in every other length (K-10)", () => {
    for (const length of [0, 1, 31, 33, 64]) assert.strictEqual(problemOf(new Uint8Array(length).fill(7)), "length")
  })

  it("is taken when it is an honest one, and has one full fingerprint (K-07)", () => {
    const keys = Array.from({ length: 200 }, () => publicKeyOf(generatePrivateKey()))
    assert.deepStrictEqual(
      keys.map(problemOf).filter((problem) => problem !== null),
      []
    )
    const fingerprints = keys.map((key) => fingerprintOf(key, sha256OfText))
    assert.strictEqual(new Set(fingerprints).size, 200)
    assert.isTrue(fingerprints.every((one) => /^[0-9a-f]{64}$/.test(one)))
  })
})

describe("an Ed25519 signature", () => {
  const secret = 987654321987654321n
  const point = Curve.times(secret, Curve.base)
  const key = Curve.encode(point)
  const text = "the text"

  it("made by hand is accepted, so the refusals below refuse what they mean to (K-11)", () => {
    const nonce = 1122334455667788n
    const r = Curve.encode(Curve.times(nonce, Curve.base))
    const s = (nonce + Curve.challengeOf(r, key, text) * secret) % Curve.order
    assert.isTrue(accepts(key, text, Curve.signatureOf(r, s)))
    // S + L and further: the same number to a lenient verifier, another signature to the world.
    for (let n = 1n; s + n * Curve.order < 2n ** 256n; n++) {
      assert.isFalse(accepts(key, text, Curve.signatureOf(r, s + n * Curve.order)), `S + ${n} L`)
    }
  })

  it("is refused when its R is the neutral point, in its own encoding and in others, with an S that is right for it (K-11)", () => {
    for (const y of [1n, Curve.p + 1n, 1n + (1n << 255n), Curve.p + 1n + (1n << 255n)]) {
      const r = Curve.littleEndian(y)
      const s = (Curve.challengeOf(r, key, text) * secret) % Curve.order
      assert.isFalse(accepts(key, text, Curve.signatureOf(r, s)))
    }
  })

  it("is judged as Wycheproof says, one by one and many at once (G-K10)", async () => {
    if (!Vectors.present) return
    const { testGroups } = Vectors.json("wycheproof/ed25519_test.json") as Wycheproof
    const cases = testGroups.flatMap(({ publicKey, tests }) =>
      tests.map((test) => ({
        ...test,
        key: Uint8Array.from(Buffer.from(publicKey.pk, "hex")),
        text: Buffer.from(test.msg, "hex"),
        signature: Uint8Array.from(Buffer.from(test.sig, "hex"))
      }))
    )
    assert.strictEqual(cases.length, 151)
    // Rows are text: the vectors whose message is UTF-8 can be asked.
    const texts = cases.filter(
      (each) => Buffer.compare(Buffer.from(each.text.toString("utf8"), "utf8"), each.text) === 0
    )
    assert.isAbove(texts.length, 80)
    const items = texts.map((each) => ({
      key: publicKeyFrom(each.key),
      text: each.text.toString("utf8"),
      signature: each.signature
    }))
    const expected = texts.map(({ result }) => result === "valid")
    assert.deepStrictEqual(
      items.map((item) => isSignedBy(item.key, item.text, item.signature)),
      expected
    )
    assert.deepStrictEqual(await Effect.runPromise(areSigned(items)), expected)
    assert.deepStrictEqual(
      cases.map(({ key }) => problemOf(key)).filter((problem) => problem !== null),
      []
    )
  })

  it("over a proof of possession fits one key, one agent and one deployment (A-11, K-10)", () => {
    const signer = anySigner("clerk")
    const own = possessionText(signer.agentId, signer.publicKey, "d1")
    const proof = signer.sign(own)
    assert.isTrue(accepts(signer.publicKey, own, proof))
    for (const other of [
      possessionText(AgentId.make("teller"), signer.publicKey, "d1"),
      possessionText(signer.agentId, anySigner("x").publicKey, "d1"),
      possessionText(signer.agentId, signer.publicKey, "d2")
    ]) {
      assert.isFalse(accepts(signer.publicKey, other, proof))
    }
  })
})
