import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { escape } from "../../src/schema/Escape.ts"
import { flatText } from "../../src/schema/FlatText.ts"
import { snapshot } from "../../src/schema/Json.ts"
import { anyJson, random, Seed } from "./JsonArbitrary.ts"

const longWay = (value: unknown) =>
  Result.getOrUndefined(Result.map(snapshot(value), (json) => canonicalize(escape(json))))

const flat = (seed: number) => {
  const next = random(seed)
  const scalars = [
    () => `s${next()}`,
    () => Math.floor(next() * 1e6),
    () => next() * 1e-9,
    () => next() > 0.5,
    () => null
  ]
  return Object.fromEntries(
    Array.from({ length: Math.floor(next() * 12) }, () => [
      `k${Math.floor(next() * 100)}`,
      scalars[Math.floor(next() * scalars.length)]!()
    ])
  )
}

describe("flatText", () => {
  it.prop(
    "answers as the long way does, for plain objects always (DEC-04)",
    [Seed],
    ([seed]) => {
      const value = flat(seed)
      assert.strictEqual(flatText(value), longWay(value))
    },
    { arbitrary: { runs: 2000 } }
  )

  it.prop(
    "answers as the long way does or not at all, for any JSON",
    [Seed],
    ([seed]) => {
      const value = anyJson(random(seed), 3)
      const text = flatText(value)
      if (text !== undefined) assert.strictEqual(text, longWay(value))
    },
    { arbitrary: { runs: 3000 } }
  )

  it.each([
    ["a key of ours", { $sealed: 1 }],
    ["minus zero", { a: -0 }],
    ["an unsafe integer", { a: 2 ** 53 }],
    ["NaN", { a: Number.NaN }],
    ["an undefined member", { a: undefined }],
    ["a function", { toJSON: () => 1 }],
    ["a nested object", { a: {} }],
    ["a quote", { a: '"' }],
    ["a control character", { a: "\u0000" }],
    ["a lone surrogate in a key", { "\ud800": 1 }],
    [
      "a class instance",
      new (class A {
        readonly a = 1
      })()
    ],
    ["an array", [1]],
    ["a symbol key", { [Symbol("x")]: 1 }],
    ["more than it may hold", { a: "x".repeat(70_000) }]
  ])("leaves %s to the long way (A-12 to A-16)", (_, value) => {
    assert.isUndefined(flatText(value))
  })

  it("does not throw what a getter throws", () => {
    const value = Object.defineProperty({}, "a", {
      enumerable: true,
      get: () => {
        throw new Error("no")
      }
    })
    assert.isUndefined(flatText(value))
  })

  it("reads each member once (A-14)", () => {
    let reads = 0
    const value = Object.defineProperty({}, "a", { enumerable: true, get: () => ++reads })
    assert.strictEqual(flatText(value), '{"a":1}')
    assert.strictEqual(reads, 1)
  })
})
