import { createHmac, createSecretKey, hkdfSync } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { domainLabels, subkeyInfo, subkeyPurposes } from "../../src/schema/Subkeys.ts"
import { derive } from "../../src/services/KeyRing.ts"
import { hmacSha256 } from "../../src/services/TextDigests.ts"
import * as Vectors from "./Vectors.ts"

const hmac = (key: Uint8Array, data: Uint8Array) => createHmac("sha256", createSecretKey(key)).update(data).digest()
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const bytes = (text: string) => Buffer.from(text, "hex")

interface Group<A> {
  readonly tagSize?: number
  readonly tests: ReadonlyArray<A & { readonly tcId: number; readonly comment: string; readonly result: string }>
}
const groups = <A>(path: string) => (Vectors.json(path) as { readonly testGroups: ReadonlyArray<Group<A>> }).testGroups

describe("HMAC-SHA-256 as Node makes it", () => {
  it.each([
    ["0b".repeat(20), "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
    [
      "4a656665",
      "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ],
    ["aa".repeat(20), "dd".repeat(50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"],
    [
      "0102030405060708090a0b0c0d0e0f10111213141516171819",
      "cd".repeat(50),
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
    ],
    [
      "aa".repeat(131),
      Buffer.from("Test Using Larger Than Block-Size Key - Hash Key First").toString("hex"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ],
    [
      "aa".repeat(131),
      Buffer.from(
        "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm."
      ).toString("hex"),
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
    ]
  ])("gives RFC 4231's tag for key %s (K-02)", (key, data, tag) =>
    assert.strictEqual(hex(hmac(bytes(key), bytes(data))), tag)
  )

  it.skipIf(!Vectors.present)("agrees with all 174 of Wycheproof (K-02)", () => {
    let count = 0
    for (const group of groups<{ readonly key: string; readonly msg: string; readonly tag: string }>(
      "wycheproof/hmac_sha256_test.json"
    )) {
      for (const test of group.tests) {
        const tag = hex(hmac(bytes(test.key), bytes(test.msg))).slice(0, group.tagSize! / 4)
        assert.strictEqual(tag === test.tag, test.result === "valid", `${test.tcId} ${test.comment}`)
        count++
      }
    }
    assert.strictEqual(count, 174)
  })
})

describe("HKDF-SHA-256 as Node makes it", () => {
  it.skipIf(!Vectors.present)("agrees with all 86 of Wycheproof, sizes that are too large included (K-02)", () => {
    let count = 0
    for (const group of groups<{
      readonly ikm: string
      readonly salt: string
      readonly info: string
      readonly size: number
      readonly okm: string
    }>("wycheproof/hkdf_sha256_test.json")) {
      for (const test of group.tests) {
        const run = () =>
          new Uint8Array(hkdfSync("sha256", bytes(test.ikm), bytes(test.salt), bytes(test.info), test.size))
        if (test.result === "valid") assert.strictEqual(hex(run()), test.okm, `${test.tcId}`)
        else assert.throws(run)
        count++
      }
    }
    assert.strictEqual(count, 86)
  })
})

describe("sub-keys", () => {
  const secret = Buffer.from("5e".repeat(16) + "a7".repeat(16), "hex")
  const purposes = subkeyPurposes
  const subkey = (purpose: string) => derive(secret, purpose).export()

  it("differ for every purpose, from each other and from the secret (K-02, A-11)", () => {
    const keys = new Set([hex(secret), ...purposes.map((purpose) => hex(subkey(purpose)))])
    assert.strictEqual(keys.size, purposes.length + 1)
    for (const purpose of purposes) assert.strictEqual(subkey(purpose).length, 32)
  })

  it("verify no MAC of another purpose (A-11)", () => {
    const macs = purposes.map((purpose) => hex(hmacSha256(derive(secret, purpose))("the same message")))
    assert.strictEqual(new Set(macs).size, purposes.length)
  })

  it("stay what they are: a changed label or salt would orphan every stored MAC", () => {
    const golden = "ae78d07fc9fa18a0c1761fcb3004d6ec1ab0b89290de45d0776202c89eddb0a8"
    assert.strictEqual(hex(subkey("audit")), golden)
    const node = hkdfSync("sha256", secret, "", "effect-governance/v1/audit", 32)
    assert.strictEqual(hex(new Uint8Array(node)), golden)
  })

  it("have labels that are never the beginning of one another, in one form (A-10, A-11)", () => {
    const labels: ReadonlyArray<string> = [...purposes.map(subkeyInfo), ...Object.values(domainLabels)]
    for (const label of labels) {
      assert.match(label, /^effect-governance\/(?:[a-z0-9-]+\/)?v\d+\/[a-z-]+\n?$/)
      assert.deepStrictEqual(
        labels.filter((other) => other.startsWith(label)),
        [label]
      )
    }
  })
})
