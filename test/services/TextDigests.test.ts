import { createHash, createHmac, createSecretKey } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { hmacSha256, sha256OfText } from "../../src/services/TextDigests.ts"
import { random, Seed } from "../schema/JsonArbitrary.ts"

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const nodes = (key: Uint8Array, text: string) => createHmac("sha256", createSecretKey(key)).update(text).digest("hex")

describe("digests of texts", () => {
  it.each([
    ["0b".repeat(20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
    ["4a656665", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
    [
      "aa".repeat(131),
      "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ],
    [
      "aa".repeat(131),
      "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
    ]
  ])("give RFC 4231's tag for key %s (K-02)", (key, text, tag) =>
    assert.strictEqual(hex(hmacSha256(createSecretKey(Buffer.from(key, "hex")))(text)), tag)
  )

  it.prop(
    "are Node's for every key and text, lone surrogates and long texts too (AUD-02)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      const below = (n: number) => Math.floor(next() * n)
      const key = Uint8Array.from({ length: 1 + below(140) }, () => below(256))
      // Around the length from which texts are left to Node, and around the ends of SHA-256's blocks.
      const lengths = [below(130), below(2000), 12_000]
      const texts = lengths.map((length) => {
        const top = [0x80, 0x800, 0x10000][below(3)]!
        return String.fromCharCode(...Array.from({ length }, () => below(top)))
      })
      texts.push("€".repeat(8185 + below(15)))
      const mac = hmacSha256(createSecretKey(key))
      // All of them first, so that one that changes another is found.
      const macs = texts.map(mac)
      const hashes = texts.map(sha256OfText)
      for (const [n, text] of texts.entries()) {
        assert.strictEqual(hex(macs[n]!), nodes(key, text))
        assert.strictEqual(hex(hashes[n]!), createHash("sha256").update(text).digest("hex"))
      }
    },
    { arbitrary: { runs: 200 } }
  )

  it("under two keys do not touch each other (A-11)", () => {
    const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
    const [macOne, macTwo] = [hmacSha256(createSecretKey(one)), hmacSha256(createSecretKey(two))]
    for (const text of ["a", "bb", "a"]) {
      assert.strictEqual(hex(macOne(text)), nodes(one, text))
      assert.strictEqual(hex(macTwo(text)), nodes(two, text))
    }
  })
})
