import { assert, describe, it } from "@effect/vitest"
import { classify } from "../../src/schema/AddressRules.ts"
import { parseIp, sameIp } from "../../src/schema/IpAddress.ts"
import { allowed, denied, noAddresses } from "./addresses.ts"
import { disagreements } from "./Oracle.ts"

describe("AddressRules", () => {
  for (const [range, ...addresses] of denied) {
    it(`denies ${range}: ${addresses.join(", ")} (B-02, B-03, B-04)`, () => {
      for (const text of addresses) {
        const verdict = classify(parseIp(text)!)
        assert.strictEqual(verdict._tag === "Denied" ? verdict.range : "Public", range, text)
      }
    })
  }

  it(`allows the ${allowed.length} addresses that lie just outside (B-02, G10)`, () => {
    assert.deepStrictEqual(
      allowed.filter((text) => classify(parseIp(text)!)._tag !== "Public"),
      []
    )
  })

  it("knows an address in its one plain spelling only (B-01)", () => {
    assert.deepStrictEqual(
      noAddresses.filter((text) => parseIp(text) !== null),
      []
    )
  })

  it("takes spellings of one address for one address", () => {
    assert.isTrue(sameIp(parseIp("2606:4700:0:0:0:0:0:1111")!, parseIp("2606:4700::1111")!))
    assert.isTrue(sameIp(parseIp("::ffff:1.2.3.4")!, parseIp("::ffff:102:304")!))
    assert.isFalse(sameIp(parseIp("1.2.3.4")!, parseIp("::ffff:1.2.3.4")!))
  })

  it("agrees with an independent table on 100 000 random addresses (B-02, G10)", () => {
    assert.deepStrictEqual(disagreements(100_000, 20_261), [])
  })
})
