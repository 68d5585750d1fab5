import { Option, Result } from "effect"
import { describe, expect, test } from "vitest"
import { formatUsd, NanoUsd, PicoUsdPerToken } from "../../src/schema/Money.ts"
import { findPrice, makeShelves, type Price, type PriceBook } from "../../src/schema/PriceBook.ts"
import { charge, estimateInputTokens, UnknownModelError, worstCase } from "../../src/schema/Pricing.ts"
import { priceRows, priceSource } from "../../src/schema/prices.generated.ts"

const book: PriceBook = { providers: makeShelves(priceSource, priceRows), own: new Map() }
const priceOf = (id: string, at = Date.UTC(2026, 8, 23)) => Option.getOrThrow(findPrice(book, id, undefined, at))
const cost = (id: string, inputTokens: number, outputTokens: number, parts = {}) =>
  formatUsd(Result.getOrThrow(charge(priceOf(id), { inputTokens, outputTokens, ...parts })))
const max = 2n ** 63n - 1n

const flat = (input: bigint, output: bigint): Price => ({
  entry: "test",
  source: { name: "test", version: "", date: "" },
  partial: false,
  tiers: [
    {
      aboveInputTokens: 0,
      input: PicoUsdPerToken.make(input),
      cachedInput: PicoUsdPerToken.make(input),
      cacheWrite: PicoUsdPerToken.make(input),
      cacheWrite1h: PicoUsdPerToken.make(input),
      output: PicoUsdPerToken.make(output),
      reasoning: PicoUsdPerToken.make(output)
    }
  ]
})

describe("What a call costs", () => {
  test.each([
    ["gpt-4o-2024-05-13", 1000, 1000, {}, "$0.02"],
    ["gpt-4o", 1000, 500, {}, "$0.0075"],
    ["gpt-4o-mini", 1, 1, {}, "$0.00000075"],
    ["gpt-4o", 1000, 0, { cachedInputTokens: 1000 }, "$0.00125"],
    ["claude-sonnet-4-6", 1000, 0, {}, "$0.003"],
    ["claude-sonnet-4-6", 1000, 0, { cachedInputTokens: 1000 }, "$0.0003"],
    ["claude-sonnet-4-6", 1000, 0, { cacheWriteTokens: 1000 }, "$0.00375"],
    ["claude-sonnet-4-6", 1000, 0, { cacheWriteTokens: 1000, cacheWrite1hTokens: 1000 }, "$0.006"],
    [
      "claude-sonnet-4-6",
      1000,
      100,
      { cachedInputTokens: 400, cacheWriteTokens: 500, cacheWrite1hTokens: 200 },
      "$0.004245"
    ],
    ["gemini-2.5-pro", 100_000, 1000, {}, "$0.135"],
    ["gemini-2.5-pro", 200_000, 1000, {}, "$0.26"],
    ["gemini-2.5-pro", 200_001, 1000, {}, "$0.5150025"],
    ["gemini-2.5-pro", 300_000, 1000, {}, "$0.765"],
    ["text-embedding-3-small", 1_000_000, 0, {}, "$0.02"],
    ["gpt-4o", 0, 0, {}, "$0.00"]
  ])("BEY-08, OQ-03: %s with %i in and %i out %o costs %5$s", (id, input, output, parts, usd) => {
    expect(cost(id, input, output, parts)).toBe(usd)
  })

  test("BEY-08: reasoning tokens have their own price where the provider has one", () => {
    const price = Option.getOrThrow(
      findPrice(book, "perplexity/sonar-deep-research", "openrouter", Date.UTC(2026, 8, 23))
    )
    const usage = { inputTokens: 0, outputTokens: 1000, reasoningTokens: 600 }
    expect(formatUsd(Result.getOrThrow(charge(price, usage)))).toBe("$0.005")
  })

  test("DEC-07: a call is rounded up once, to the next nano-dollar, as BigInt arithmetic does it", () => {
    let state = 7n
    const random = (limit: bigint) => {
      state = (state * 6364136223846793005n + 1442695040888963407n) % 2n ** 64n
      return (state >> 11n) % limit
    }
    for (let run = 0; run < 2_000; run++) {
      const [input, output] = [random(10n ** (1n + random(9n))), random(10n ** (1n + random(9n)))]
      const usage = { inputTokens: Number(random(2_000_000n)), outputTokens: Number(random(200_000n)) }
      const pico = BigInt(usage.inputTokens) * input + BigInt(usage.outputTokens) * output
      const nano = Result.getOrThrow(charge(flat(input, output), usage))
      expect(nano * 1000n >= pico && (nano - 1n) * 1000n < pico).toBe(true)
    }
  })

  test("U-05: ten calls of a tenth make exactly one", () => {
    const tenth = Result.getOrThrow(charge(flat(100_000n, 0n), { inputTokens: 1_000_000, outputTokens: 0 }))
    expect(formatUsd(NanoUsd.make(Array.from({ length: 10 }, () => tenth).reduce((a, b) => a + b, 0n)))).toBe("$1.00")
  })

  test.each([
    [1n, 0, 0n],
    [1n, 1, 1n],
    [1n, 1000, 1n],
    [1n, 1001, 2n],
    [1024n, Number.MAX_SAFE_INTEGER, 9_223_372_036_854_775n],
    [1_024_000n, Number.MAX_SAFE_INTEGER, 9_223_372_036_854_774_784n],
    [1_024_001n, Number.MAX_SAFE_INTEGER, max],
    [max, 1, 9_223_372_036_854_776n],
    [max, 1000, max],
    [max, 1001, max],
    [max, Number.MAX_SAFE_INTEGER, max]
  ])("U-14: %s pico-USD times %i tokens is %s nano-USD, and never more than 2^63-1", (rate, tokens, nano) => {
    expect(Result.getOrThrow(charge(flat(rate, 0n), { inputTokens: tokens, outputTokens: 0 }))).toBe(nano)
  })

  const wrong: ReadonlyArray<unknown> = [
    -1,
    0.5,
    NaN,
    Infinity,
    -Infinity,
    1e308,
    2 ** 53,
    "1",
    "1e3",
    " 5",
    "٣",
    null,
    1n,
    [1],
    {},
    true
  ]
  test.each([
    "inputTokens",
    "outputTokens",
    "cachedInputTokens",
    "cacheWriteTokens",
    "cacheWrite1hTokens",
    "reasoningTokens"
  ])("U-06: %s that is no count of tokens is refused by its name", (field) => {
    for (const value of wrong) {
      const usage = { inputTokens: 10, outputTokens: 10, [field]: value }
      const result = charge(priceOf("gpt-4o"), usage)
      expect(Result.isFailure(result) && result.failure.field).toBe(`usage.${field}`)
    }
  })

  test("U-06: minus zero is zero; a usage without its two totals is refused", () => {
    expect(cost("gpt-4o", -0, 1000)).toBe("$0.01")
    expect(Result.isFailure(charge(priceOf("gpt-4o"), JSON.parse('{"outputTokens":1}')))).toBe(true)
    expect(Result.isFailure(charge(priceOf("gpt-4o"), JSON.parse('{"inputTokens":1}')))).toBe(true)
  })

  test.each([
    [{ cachedInputTokens: 11 }],
    [{ cachedInputTokens: 6, cacheWriteTokens: 5 }],
    [{ cacheWriteTokens: 5, cacheWrite1hTokens: 6 }],
    [{ reasoningTokens: 11 }]
  ])("U-06: a part that is larger than its whole is refused: %o", (parts) => {
    expect(Result.isFailure(charge(priceOf("gpt-4o"), { inputTokens: 10, outputTokens: 10, ...parts }))).toBe(true)
  })
})

describe("The worst case of a call", () => {
  const worst = (id: string, inputTokens: number, maxTokens: number, cacheWrites?: boolean) => {
    const call = { inputTokens, maxTokens, ...(cacheWrites === undefined ? {} : { cacheWrites }) }
    const result = Result.getOrThrow(worstCase(priceOf(id), call))
    return [formatUsd(result.usd), result.tokens]
  }

  test("CST-05: input at its price and every token of the declared maximum", () => {
    expect(worst("gpt-4o", 1000, 500)).toEqual(["$0.0075", 1500n])
  })

  test("DEC-07: the dearest tier that the input reaches counts, and no tier beyond", () => {
    expect(worst("gemini-2.5-pro", 200_000, 1000)[0]).toBe("$0.26")
    expect(worst("gemini-2.5-pro", 300_000, 1000)[0]).toBe("$0.765")
  })

  test("BEY-08: input may be written to the provider's cache unless the caller knows better", () => {
    expect(worst("claude-sonnet-4-6", 1000, 0)[0]).toBe("$0.006")
    expect(worst("claude-sonnet-4-6", 1000, 0, false)[0]).toBe("$0.003")
  })

  test("DEC-07: no usage within what was declared costs more than the worst case, for any model of the book", () => {
    let checked = 0
    let step = 1
    for (const [, shelf] of book.providers) {
      for (const { prices } of shelf.names.values()) {
        for (const { price } of prices) {
          step = (step * 48271) % 2147483647
          const inputTokens = step % 400_000
          const maxTokens = step % 10_000
          const held = Result.getOrThrow(worstCase(price, { inputTokens, maxTokens })).usd
          for (const share of [0, 0.3, 1]) {
            const used = Math.floor(inputTokens * share)
            const usages = [
              { inputTokens: used, outputTokens: maxTokens },
              { inputTokens: used, outputTokens: maxTokens, cachedInputTokens: used, reasoningTokens: maxTokens },
              { inputTokens: used, outputTokens: maxTokens, cacheWriteTokens: used },
              { inputTokens: used, outputTokens: maxTokens, cacheWriteTokens: used, cacheWrite1hTokens: used }
            ]
            for (const usage of usages) {
              checked++
              if (Result.getOrThrow(charge(price, usage)) > held) throw new Error(`${price.entry}: more than was held`)
            }
          }
        }
      }
    }
    expect(checked).toBeGreaterThan(10_000)
  })

  test.each([-1, 0.5, NaN, Infinity, 2 ** 53])("U-06: %d tokens are refused", (tokens) => {
    expect(Result.isFailure(worstCase(priceOf("gpt-4o"), { inputTokens: tokens, maxTokens: 1 }))).toBe(true)
    expect(Result.isFailure(worstCase(priceOf("gpt-4o"), { inputTokens: 1, maxTokens: tokens }))).toBe(true)
  })
})

describe("What a model is called and how long a text is", () => {
  test("ERR-05: an unknown model's error names it, safely to print, and lists the three ways out", () => {
    const error = new UnknownModelError({ model: "gpt-\u202e4o\n\u001b[31m", provider: null })
    expect(error.model).toBe("gpt-\u202e4o\n\u001b[31m")
    expect(error.message).toMatch(/^[ -~]+$/)
    expect(error.message).toContain("\\u202e4o")
    expect(error.recoveryHint).toMatch(
      /price entry.*costStrictUnknownModels: false.*costUnknownModelFallbackUsdPerMillion.*cost\.track/s
    )
    expect(new UnknownModelError({ model: "x".repeat(10_000), provider: "y" }).message.length).toBeLessThan(300)
  })

  test("CST-05: the estimate of a text is at least a token for three bytes of UTF-8", () => {
    const texts = [
      "",
      "a",
      "Hello, world",
      "ä".repeat(100),
      "漢字".repeat(50),
      "😀".repeat(50),
      '{"a":[1,2,3]}',
      "0123456789",
      "a b c",
      "\ud800"
    ]
    for (const text of texts) {
      expect(estimateInputTokens(text)).toBeGreaterThanOrEqual(Math.ceil(Buffer.byteLength(text) / 3) + 8)
    }
    expect(estimateInputTokens("The quick brown fox jumps over the lazy dog")).toBeLessThan(30)
  })
})
