import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { escape, storedKeySize, storedTextSize, unescape } from "../../src/schema/Escape.ts"
import { type JsonValue, snapshot } from "../../src/schema/Json.ts"
import { anyJson, random, Seed } from "./JsonArbitrary.ts"
import { naughtyStrings } from "./Vectors.ts"

const throughStorage = (value: JsonValue): unknown => unescape(JSON.parse(canonicalize(escape(value))))

/** What a Postgres text column takes and gives back unchanged. */
const isStorable = (value: unknown): boolean => {
  if (typeof value === "string") return value.isWellFormed() && !value.includes("\u0000")
  if (typeof value !== "object" || value === null) return true
  return Object.entries(value).every(([key, member]) => isStorable(key) && isStorable(member))
}

describe("escape", () => {
  it("spells what Postgres refuses as UTF-16 code units (DEC-17, A-12)", () => {
    assert.strictEqual(canonicalize(escape("a\u0000")), '{"$utf16":"00610000"}')
    assert.strictEqual(canonicalize(escape(["\ud83d", "\ud83d\ude00"])), '[{"$utf16":"d83d"},"\ud83d\ude00"]')
    assert.strictEqual(canonicalize(escape({ "\u0000": 1, "$\udc00": 2 })), '{"$utf16:0000":1,"$utf16:0024dc00":2}')
  })

  it("lets no caller write the keys of the format (DEC-17)", () => {
    const forged = { $sealed: { v: 1 }, $utf16: "0000", $$: 1, $: 2, "$utf16:0000": 3, $unsealable: true }
    const stored = escape(forged)
    assert.strictEqual(
      canonicalize(stored),
      '{"$$":2,"$$$":1,"$$sealed":{"v":1},"$$unsealable":true,"$$utf16":"0000","$$utf16:0000":3}'
    )
    assert.deepStrictEqual(unescape(stored), forged)
  })

  const strings = naughtyStrings()
  it("covers the naughty strings and our own", () => assert.isAtLeast(strings.length, 27))

  it.each(strings.map((text) => [JSON.stringify(text), text] as const))(
    "brings %s back from every place: value, key, inside (A-12)",
    (_name, text) => {
      const places: ReadonlyArray<JsonValue> = [
        text,
        [text, [text]],
        { [text]: text },
        { a: { [text]: [{ [text]: text }] } }
      ]
      for (const place of places) {
        const value = Result.getOrThrow(snapshot(place))
        assert.isTrue(isStorable(escape(value)))
        assert.deepStrictEqual(throughStorage(value), value)
      }
      assert.strictEqual(storedTextSize(text), Buffer.byteLength(canonicalize(escape(text))))
      assert.strictEqual(storedKeySize(text) + 4, Buffer.byteLength(canonicalize(escape({ [text]: 0 }))))
    }
  )

  it.prop(
    "has an exact inverse, and what it writes is storable (A-12)",
    [Seed],
    ([seed]) => {
      const value = Result.getOrThrow(snapshot(anyJson(random(seed), 6)))
      const stored = escape(value)
      assert.isTrue(isStorable(stored))
      assert.deepStrictEqual(unescape(stored), value)
      assert.deepStrictEqual(throughStorage(value), value)
    },
    { arbitrary: { runs: 3000 } }
  )

  it.prop(
    "gives two different values different bytes (A-10)",
    [Seed, Seed],
    ([left, right]) => {
      const [a, b] = [left, right].map((seed) => Result.getOrThrow(snapshot(anyJson(random(seed), 3))))
      const same = JSON.stringify(sorted(a!)) === JSON.stringify(sorted(b!))
      assert.strictEqual(canonicalize(escape(a!)) === canonicalize(escape(b!)), same)
    },
    { arbitrary: { runs: 3000 } }
  )
})

describe("unescape", () => {
  it("leaves alone what escape never writes, and what is too deep to be ours", () => {
    for (const odd of [{ $utf16: "xyz" }, { $utf16: "0061", b: 1 }, { $utf16: 1 }, { $other: 1 }, { "$utf16:g": 1 }]) {
      assert.deepStrictEqual(unescape(odd), odd)
    }
    const deep: JsonValue = JSON.parse(`${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`)
    assert.isTrue(Array.isArray(unescape(deep)))
  })

  it("leaves the inside of a sealed value alone, since that is format", () => {
    const stored = {
      a: { $sealed: { v: 1, key: "k", nonce: "n", ct: "c", $$x: { $utf16: "0061" } } },
      b: { $unsealable: true }
    }
    assert.deepStrictEqual(unescape(stored), stored)
  })
})

const sorted = (value: JsonValue): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(sorted)
  // Arrays of pairs, so that no key can act as a prototype.
  return {
    o: Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)])
  }
}
