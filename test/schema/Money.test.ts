import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import {
  addNano,
  chargeFor,
  chargeForAll,
  formatUsd,
  maxUsd,
  NanoUsd,
  nanoFromPico,
  PicoUsdPerToken,
  parseUsd,
  UsdAmount,
  zeroUsd
} from "../../src/schema/Money.ts"
import { random, Seed } from "./JsonArbitrary.ts"

const nano = (value: bigint) => NanoUsd.make(value)
const parsed = (value: string | number): bigint => Result.getOrThrow(parseUsd(value))
const refused = (value: unknown) => Result.isFailure(parseUsd(value as string))
const anyBigint = (next: () => number, bits: number) => {
  let value = 0n
  for (let i = Math.floor(next() * bits); i > 0; i -= 16) value = (value << 16n) | BigInt(Math.floor(next() * 65536))
  return value & ((1n << BigInt(bits)) - 1n)
}

describe("formatUsd", () => {
  it.each([
    [0n, "$0.00"],
    [1n, "$0.000000001"],
    [7_500_000n, "$0.0075"],
    [10_000_000n, "$0.01"],
    [500_000_000n, "$0.50"],
    [1_000_000_000n, "$1.00"],
    [12_345_678_901n, "$12.345678901"],
    [2n ** 63n - 1n, "$9223372036.854775807"]
  ])("%d is %s: exact, at least cents (DEC-07)", (amount, text) => assert.strictEqual(formatUsd(nano(amount)), text))
})

describe("parseUsd", () => {
  it.each([
    ["0", 0n],
    ["0.50", 500_000_000n],
    ["1", 1_000_000_000n],
    ["0.000000001", 1n],
    ["9223372036.854775807", 2n ** 63n - 1n],
    [0, 0n],
    [0.5, 500_000_000n],
    [0.1, 100_000_000n],
    [0.2, 200_000_000n],
    [1e-7, 100n],
    [1e-9, 1n],
    [1.5e-8, 15n],
    [1000, 1_000_000_000_000n],
    [1e3, 1_000_000_000_000n]
  ])("%s is exact (U-05)", (value, amount) => assert.strictEqual(parsed(value), amount))

  it.each([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    -1,
    -0,
    1e308,
    1e21,
    1e-10,
    1.5e-9,
    0.1 + 0.2,
    2 ** 53,
    "",
    " ",
    " 5",
    "5 ",
    "5\n",
    "1e3",
    "1E3",
    "-1",
    "+1",
    "-0",
    "0x10",
    "1_000",
    "1,000",
    "1.",
    ".5",
    "1.2.3",
    "NaN",
    "Infinity",
    "٣",
    "３",
    "0.0000000001",
    "9223372036.854775808",
    "99999999999",
    "$1",
    "null",
    "1".repeat(1_000_000),
    null,
    undefined,
    true,
    [],
    {}
  ])("%s is refused (U-05, U-06, U-14)", (value) => assert.isTrue(refused(value)))

  it.prop(
    "is the inverse of formatUsd for every amount (U-05)",
    [Seed],
    ([seed]) => {
      const amount = anyBigint(random(seed), 63)
      assert.strictEqual(parsed(formatUsd(nano(amount)).slice(1)), amount)
    },
    { arbitrary: { runs: 2000 } }
  )
})

describe("sums and charges", () => {
  it.prop(
    "adds as BigInt does and stops at the largest amount (U-05, U-14)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      const [a, b] = [anyBigint(next, 63), anyBigint(next, 63)]
      const oracle = a + b > 2n ** 63n - 1n ? 2n ** 63n - 1n : a + b
      assert.strictEqual<bigint>(addNano(nano(a), nano(b)), oracle)
    },
    { arbitrary: { runs: 2000 } }
  )

  it("holds no amount beyond 2^63-1 and none below 0 (U-14)", () => {
    assert.throws(() => NanoUsd.make(2n ** 63n))
    assert.throws(() => NanoUsd.make(-1n))
    assert.throws(() => PicoUsdPerToken.make(-1n))
    assert.strictEqual(addNano(maxUsd, nano(1n)), maxUsd)
    assert.strictEqual(addNano(zeroUsd, zeroUsd), zeroUsd)
    assert.strictEqual(nanoFromPico(10n ** 40n), maxUsd)
  })

  it.prop(
    "rounds a call's total up once, never each class (DEC-07)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      const classes = Array.from(
        { length: Math.floor(next() * 5) },
        () => [anyBigint(next, 40), PicoUsdPerToken.make(anyBigint(next, 40))] as const
      )
      const pico = classes.reduce((sum, [tokens, price]) => sum + tokens * price, 0n)
      const exact = pico / 1000n + (pico % 1000n === 0n ? 0n : 1n)
      const charged: bigint = Result.getOrThrow(chargeForAll(classes))
      assert.strictEqual(charged, exact > 2n ** 63n - 1n ? 2n ** 63n - 1n : exact)
    },
    { arbitrary: { runs: 2000 } }
  )

  it("charges one nano-dollar for a thousandth of it, and for two of them together", () => {
    const price = PicoUsdPerToken.make(1n)
    assert.strictEqual<bigint>(Result.getOrThrow(chargeFor(1, price)), 1n)
    assert.strictEqual<bigint>(
      Result.getOrThrow(
        chargeForAll([
          [1, price],
          [1n, price]
        ])
      ),
      1n
    )
    assert.strictEqual<bigint>(Result.getOrThrow(chargeFor(0, price)), 0n)
  })

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -1n])("refuses %s tokens (U-06)", (tokens) => {
    assert.isTrue(Result.isFailure(chargeFor(tokens, PicoUsdPerToken.make(1n))))
  })

  it("is 0.02 dollars for 1k+1k tokens at 5 and 15 dollars a million (BEY-08)", () => {
    const total = chargeForAll([
      [1000, PicoUsdPerToken.make(5_000_000n)],
      [1000, PicoUsdPerToken.make(15_000_000n)]
    ])
    assert.strictEqual(formatUsd(Result.getOrThrow(total)), "$0.02")
  })
})

describe("UsdAmount", () => {
  it('reads a policy\'s 0.5 and "0.50" alike and writes decimal text (U-06)', () => {
    const decode = Schema.decodeUnknownSync(UsdAmount)
    assert.strictEqual<bigint>(decode(0.5), 500_000_000n)
    assert.strictEqual<bigint>(decode("0.50"), 500_000_000n)
    assert.strictEqual(Schema.encodeSync(UsdAmount)(decode("12.5")), "12.50")
    for (const bad of [-1, "1e3", Number.NaN, null, undefined, {}, 1n, ""]) assert.throws(() => decode(bad))
  })
})
