import { assert, describe, it } from "@effect/vitest"
import npmCanonicalize from "canonicalize"
import { Result } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { escape } from "../../src/schema/Escape.ts"
import { type JsonValue, snapshot } from "../../src/schema/Json.ts"
import { anyJson, random, Seed } from "./JsonArbitrary.ts"
import * as Vectors from "./Vectors.ts"

const utf8 = new TextEncoder()

describe.skipIf(!Vectors.present)("RFC 8785 vectors", () => {
  it.each(["arrays", "french", "structures", "unicode", "values", "weird"])(
    "%s gives the official bytes (DEC-04)",
    (name) => {
      const text = canonicalize(Vectors.json(`jcs/input/${name}.json`) as JsonValue)
      assert.strictEqual(text, Vectors.text(`jcs/output/${name}.json`))
      const hex = Vectors.text(`jcs/outhex/${name}.txt`).replace(/\s+/g, "")
      assert.strictEqual(Buffer.from(utf8.encode(text)).toString("hex"), hex)
    }
  )
})

describe("canonicalize", () => {
  it("writes 100,000 doubles of every magnitude as the npm package does, and reads them back (A-13)", () => {
    const bits = new DataView(new ArrayBuffer(8))
    const next = random(7)
    for (let i = 0; i < 100_000; i++) {
      bits.setUint32(0, Math.floor(next() * 2 ** 32))
      bits.setUint32(4, Math.floor(next() * 2 ** 32))
      const value = bits.getFloat64(0)
      if (!Number.isFinite(value)) continue
      const text = canonicalize(value)
      assert.strictEqual(text, npmCanonicalize(value))
      assert.strictEqual(Number(text), value === 0 ? 0 : value)
    }
  })

  it.prop(
    "agrees with the npm package on any snapshot in storable form (DEC-04)",
    [Seed],
    ([seed]) => {
      const stored = escape(Result.getOrThrow(snapshot(anyJson(random(seed), 6))))
      assert.strictEqual(canonicalize(stored), npmCanonicalize(stored))
    },
    { arbitrary: { runs: 3000 } }
  )

  it("does not depend on the order in which members were added", () => {
    const forwards = { "1": 1, a: 2, B: 3, "\u20ac": 4, "\ud83d\ude00": 5, "\ufb33": 6, "": 7 }
    const backwards = Object.fromEntries(Object.entries(forwards).reverse())
    assert.strictEqual(canonicalize(forwards), canonicalize(backwards))
    assert.strictEqual(canonicalize(forwards), '{"":7,"1":1,"B":3,"a":2,"\u20ac":4,"\ud83d\ude00":5,"\ufb33":6}')
  })

  it("gives two different values different bytes, however their fields are cut (A-10)", () => {
    const values = new Map<string, string>()
    const next = random(7)
    const letters = 'ab,:"[]{}\\01'
    const piece = () =>
      Array.from({ length: Math.floor(next() * 3) }, () => letters[Math.floor(next() * letters.length)]).join("")
    for (let i = 0; i < 200_000; i++) {
      const fields: Array<[string, JsonValue]> = [
        ["agent", piece()],
        ["kind", piece()],
        ["metadata", { [piece()]: piece(), [piece()]: [piece()] }]
      ]
      const identity = fields
        .map(([, value]) =>
          typeof value === "string"
            ? `${value.length}.${value}`
            : Object.entries(value as object)
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .map(([k, v]) =>
                  Array.isArray(v) ? `${k.length}.${k}a${v[0].length}.${v[0]}` : `${k.length}.${k}s${v.length}.${v}`
                )
                .join(";")
        )
        .join("|")
      const text = canonicalize(Object.fromEntries(fields))
      assert.strictEqual(values.get(text) ?? identity, identity)
      values.set(text, identity)
    }
    assert.isAbove(values.size, 50_000)
  })

  it("throws on what a snapshot can never hold", () => {
    const bad: ReadonlyArray<unknown> = [
      "\ud800",
      { "\udfff": 1 },
      Number.NaN,
      [Number.POSITIVE_INFINITY],
      undefined,
      { a: undefined },
      1n,
      () => 1
    ]
    for (const value of bad) assert.throws(() => canonicalize(value as JsonValue))
    let deep: JsonValue = []
    for (let i = 0; i < 100_000; i++) deep = [deep]
    assert.throws(() => canonicalize(deep), RangeError)
  })
})
