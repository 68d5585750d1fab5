import { assert, describe, it, layer } from "@effect/vitest"
import { DateTime, Effect, Layer, Logger, Result, Schema } from "effect"
import { TestClock } from "effect/testing"
import { ConfigurationError } from "../../src/schema/ConfigurationError.ts"
import type { InvalidInput } from "../../src/schema/InvalidInput.ts"
import { formatUsd, zeroUsd } from "../../src/schema/Money.ts"
import { Charge, UnknownModelError } from "../../src/schema/Pricing.ts"
import * as Pricing from "../../src/services/Pricing.ts"
import * as Settings from "../../src/services/Settings.ts"

const usage = (model: string, inputTokens = 1000, outputTokens = 1000) => ({ model, inputTokens, outputTokens })
const day = (text: string) => DateTime.makeUnsafe(`${text}T12:00:00Z`)

const withPricing = (options: Pricing.PricingOptions) => Effect.provide(Pricing.layer(options))
const price = (use: Parameters<Pricing.Pricing["Service"]["price"]>[0], at?: Pricing.PricedAt) =>
  Pricing.Pricing.use((pricing) => pricing.price(use, at))
const usdOf = (model: string, at?: Pricing.PricedAt) =>
  Effect.map(price(usage(model), at), (charge) => formatUsd(charge.usd))

/** Why a layer with these options cannot be built. */
const refusalOf = (options: Pricing.PricingOptions) => Effect.flip(Effect.scoped(Layer.build(Pricing.layer(options))))

layer(Pricing.layer())("Pricing with its defaults", (it) => {
  it.effect("BEY-08: a charge says what it was priced by: list, version, date and entry", () =>
    Effect.gen(function* () {
      const charge = yield* price(usage("gpt-4o-2024-05-13"))
      assert.strictEqual(formatUsd(charge.usd), "$0.02")
      assert.strictEqual(charge.tokens, 2000n)
      assert.deepStrictEqual(charge.source, {
        name: "@pydantic/genai-prices",
        version: "0.1.8",
        date: "2026-09-23",
        entry: "openai/gpt-4o-2024-05-13"
      })
      assert.isFalse(charge.estimated)
      assert.isTrue(Schema.is(Charge)(charge))
    })
  )

  it.effect("BEY-08: a model that is also sold by audio or image is charged as an estimate", () =>
    Effect.map(price(usage("gpt-realtime")), (charge) => assert.isTrue(charge.estimated))
  )

  it.effect("ERR-05, CST-07, OQ-12: an unknown model fails with its name, before and after the call", () =>
    Effect.gen(function* () {
      const pricing = yield* Pricing.Pricing
      const questions: ReadonlyArray<Effect.Effect<unknown, UnknownModelError | InvalidInput>> = [
        pricing.price(usage("gpt-4o-evil")),
        pricing.worstCase({ model: "gpt-4o-evil", inputTokens: 1, maxTokens: 1 }),
        pricing.worstCase({ model: "gpt-4o-evil" })
      ]
      for (const asked of questions) {
        const error = yield* Effect.flip(asked)
        assert.instanceOf(error, UnknownModelError)
        assert.include(error.message, '"gpt-4o-evil"')
      }
      assert.isFalse(yield* pricing.knows("gpt-4o-evil"))
      assert.isTrue(yield* pricing.knows("gpt-4o"))
      assert.isFalse(yield* pricing.knows("gpt-4o", "anthropic"))
      assert.strictEqual(
        (yield* Effect.flip(pricing.price(usage("m"), { provider: "groq" }))).message,
        'No price is known for model "m" of provider "groq"'
      )
    })
  )

  it.effect("DEC-08: the price is that of the clock's day, or of the day that is given", () =>
    Effect.gen(function* () {
      const long = { model: "claude-sonnet-4-6", inputTokens: 300_000, outputTokens: 0 }
      yield* TestClock.setTime(Date.UTC(2026, 2, 12, 23, 59, 59))
      assert.strictEqual(formatUsd((yield* price(long)).usd), "$1.80")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(formatUsd((yield* price(long)).usd), "$0.90")
      assert.strictEqual(formatUsd((yield* price(long, { at: day("2026-01-01") })).usd), "$1.80")
    })
  )

  it.effect("U-06: usage that no provider can mean is refused with the field's name", () =>
    Effect.map(Effect.flip(price(usage("gpt-4o", -1))), (error) => {
      assert.strictEqual(error._tag, "InvalidInput")
      assert.include(error.message, "usage.inputTokens")
    })
  )

  it.effect("CST-05: the worst case of a declared maximum is exact", () =>
    Effect.gen(function* () {
      const pricing = yield* Pricing.Pricing
      const hold = yield* pricing.worstCase({ model: "gpt-4o", inputTokens: 1000, maxTokens: 500 })
      assert.deepStrictEqual(hold, {
        _tag: "Exact",
        usd: (yield* price(usage("gpt-4o", 1000, 500))).usd,
        tokens: 1500n
      })
      assert.deepStrictEqual(yield* pricing.worstCase({ model: "gpt-4o", maxTokens: 0 }), {
        _tag: "Exact",
        usd: zeroUsd,
        tokens: 0n
      })
    })
  )
})

describe("Pricing", () => {
  it.effect("CST-05, DEC-21: without a maximum the rest of the budget is held, and each model warns once", () => {
    const lines: Array<unknown> = []
    const logger = Logger.layer([Logger.make(({ message }) => lines.push(message))])
    return Effect.gen(function* () {
      const pricing = yield* Pricing.Pricing
      for (const model of ["gpt-4o", "gpt-4o", "gpt-4o-2024-08-06", "o3"]) {
        assert.deepStrictEqual(yield* pricing.worstCase({ model, inputTokens: 10 }), { _tag: "Remaining" })
      }
      const warnings = lines.filter((line) => JSON.stringify(line).includes("cost.max_tokens_not_declared"))
      assert.strictEqual(warnings.length, 2)
    }).pipe(withPricing({}), Effect.provide(logger))
  })

  it.effect("CST-05: defaultMaxTokens stands in for a maximum that is not declared, and never for one that is", () =>
    Effect.gen(function* () {
      const pricing = yield* Pricing.Pricing
      const hold = yield* pricing.worstCase({ model: "gpt-4o", inputTokens: 1000 })
      assert.deepStrictEqual(hold, yield* pricing.worstCase({ model: "gpt-4o", inputTokens: 1000, maxTokens: 500 }))
      const more = yield* pricing.worstCase({ model: "gpt-4o", inputTokens: 1000, maxTokens: 501 })
      assert.strictEqual(more._tag === "Exact" && more.tokens, 1501n)
    }).pipe(withPricing({ defaultMaxTokens: 500 }))
  )

  it.effect("CST-08: not strict, an unknown model costs the fallback rate, marked as an estimate", () =>
    Effect.gen(function* () {
      const charge = yield* price(usage("gpt-9-ultra", 1_000_000, 500_000))
      assert.strictEqual(formatUsd(charge.usd), "$15.00")
      assert.isTrue(charge.estimated)
      assert.strictEqual(charge.source.entry, "costUnknownModelFallbackUsdPerMillion")
      assert.strictEqual(yield* usdOf("gpt-4o"), "$0.0125")
      assert.isTrue(yield* Pricing.Pricing.use((pricing) => pricing.knows("gpt-9-ultra")))
    }).pipe(withPricing({ strictUnknownModels: false, unknownModelFallbackUsdPerMillion: 10 }))
  )

  it.effect("CFG-07: a fallback rate alone does not make it lenient", () =>
    Effect.map(Effect.flip(price(usage("gpt-9-ultra"))), (error) =>
      assert.strictEqual(error._tag, "UnknownModelError")
    ).pipe(withPricing({ unknownModelFallbackUsdPerMillion: 10 }))
  )

  it.effect("OQ-34, CFG-08: strict off without a positive rate is a configuration error", () =>
    Effect.gen(function* () {
      for (const rate of [undefined, null, 0, -1, NaN, Infinity, "", "x", "1e3", "0"]) {
        const error = yield* refusalOf({
          strictUnknownModels: false,
          unknownModelFallbackUsdPerMillion: rate ?? null
        })
        assert.instanceOf(error, ConfigurationError)
      }
      for (const defaultMaxTokens of [0, -1, 0.5, NaN, Infinity])
        assert.instanceOf(yield* refusalOf({ defaultMaxTokens }), ConfigurationError)
    })
  )

  it.effect("CFG-07: the settings' variables say how unknown models are treated", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* usdOf("gpt-9-ultra"), "$0.004")
    }).pipe(
      Effect.provide(
        Pricing.layerSettings().pipe(
          Layer.provide(Settings.layer({ costStrictUnknownModels: false, costUnknownModelFallbackUsdPerMillion: 2 }))
        )
      )
    )
  )
})

describe("A caller's own prices", () => {
  const entry = { model: "acme-1", inputUsdPerMillion: 1, outputUsdPerMillion: "2.50" }

  it.effect("ERR-05: an entry makes its model and its dated snapshots known, and no other", () =>
    Effect.gen(function* () {
      const charge = yield* price(usage("acme-1"))
      assert.strictEqual(formatUsd(charge.usd), "$0.0035")
      assert.deepStrictEqual(charge.source, { name: "options", version: "", date: "", entry: "acme-1" })
      assert.strictEqual(yield* usdOf("acme-1-20260401"), "$0.0035")
      assert.strictEqual(yield* usdOf("acme-1", { provider: "anyone" }), "$0.0035")
      for (const model of ["acme-1-evil", "acme-12", "ACME-1", "acme", "acme-1-v1:0"]) {
        assert.instanceOf(yield* Effect.flip(usdOf(model)), UnknownModelError)
      }
    }).pipe(withPricing({ entries: [entry] }))
  )

  it.effect("ERR-05: an entry with a star covers version suffixes, one with a provider only that provider", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* usdOf("acme-1-v1:0"), "$0.0035")
      assert.instanceOf(yield* Effect.flip(usdOf("acme-1-evil")), UnknownModelError)
      assert.strictEqual(yield* usdOf("acme-2", { provider: "acme" }), "$0.0035")
      assert.strictEqual(yield* usdOf("acme/acme-2"), "$0.0035")
      assert.instanceOf(yield* Effect.flip(usdOf("acme-2")), UnknownModelError)
      assert.instanceOf(yield* Effect.flip(usdOf("acme-2", { provider: "other" })), UnknownModelError)
    }).pipe(
      withPricing({
        entries: [
          { ...entry, model: "acme-1*" },
          { ...entry, model: "acme-2", provider: "acme" }
        ]
      })
    )
  )

  it.effect("DEC-08: an entry wins over the book by the same name, and never over a dated snapshot's own price", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* usdOf("gpt-4o"), "$0.0035")
      assert.strictEqual(yield* usdOf("gpt-4o", { provider: "azure" }), "$0.0035")
      assert.strictEqual(yield* usdOf("gpt-4o-2027-01-01"), "$0.0035")
      assert.strictEqual(yield* usdOf("gpt-4o-2024-05-13"), "$0.02")
      assert.strictEqual(yield* usdOf("gpt-4o-mini"), "$0.00075")
    }).pipe(withPricing({ entries: [{ ...entry, model: "gpt-4o" }] }))
  )

  it.effect("BEY-08: entries of one model follow each other by their days; before the first the book holds", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* usdOf("gpt-4o", { at: day("2026-12-31") }), "$0.0125")
      assert.strictEqual(yield* usdOf("gpt-4o", { at: day("2027-01-01") }), "$0.004")
      assert.strictEqual(yield* usdOf("gpt-4o", { at: day("2027-02-01") }), "$0.002")
      assert.strictEqual((yield* price(usage("gpt-4o"), { at: day("2027-02-02") })).source.entry, "gpt-4o@2027-02-01")
    }).pipe(
      withPricing({
        entries: [
          { model: "gpt-4o", from: "2027-02-01", inputUsdPerMillion: 1, outputUsdPerMillion: 1 },
          { model: "gpt-4o", from: "2027-01-01", inputUsdPerMillion: 2, outputUsdPerMillion: 2 }
        ]
      })
    )
  )

  it.effect("BEY-08: classes and tiers of an entry are charged; a class left out costs what its parent does", () =>
    Effect.gen(function* () {
      const parts = { cachedInputTokens: 100, cacheWriteTokens: 100, cacheWrite1hTokens: 50, reasoningTokens: 500 }
      assert.strictEqual(formatUsd((yield* price({ ...usage("acme-3"), ...parts })).usd), "$0.0020625")
      const long = yield* price({ ...usage("acme-3", 1001, 1000), ...parts })
      assert.strictEqual(formatUsd(long.usd), "$0.02001")
    }).pipe(
      withPricing({
        entries: [
          {
            model: "acme-3",
            inputUsdPerMillion: 1,
            outputUsdPerMillion: 1,
            cachedInputUsdPerMillion: 0.1,
            cacheWriteUsdPerMillion: 1.25,
            cacheWrite1hUsdPerMillion: "2.30",
            reasoningUsdPerMillion: "1.15",
            tiers: [{ aboveInputTokens: 1000, inputUsdPerMillion: 10, outputUsdPerMillion: 10 }]
          }
        ]
      })
    )
  )

  it.effect("DEC-07: a rate of less than a pico-dollar a token is rounded up, never to nothing", () =>
    Effect.gen(function* () {
      const charge = yield* price(usage("acme-4", 1_000_000_000, 0))
      assert.strictEqual(charge.usd, 1_000_000n)
    }).pipe(withPricing({ entries: [{ model: "acme-4", inputUsdPerMillion: "0.000000001", outputUsdPerMillion: 0 }] }))
  )

  it.effect("ERR-14, U-06: an entry that cannot be meant is a configuration error", () =>
    Effect.gen(function* () {
      const wrong: ReadonlyArray<Record<string, unknown>> = [
        { inputUsdPerMillion: -1 },
        { inputUsdPerMillion: NaN },
        { inputUsdPerMillion: Infinity },
        { inputUsdPerMillion: 1e308 },
        { inputUsdPerMillion: "1e3" },
        { inputUsdPerMillion: " 5" },
        { inputUsdPerMillion: "٣" },
        { inputUsdPerMillion: null },
        { model: "" },
        { model: "a b" },
        { model: "*" },
        { model: "a*b" },
        { model: "*a" },
        { model: "a|b" },
        { model: "gpt-4\u043e" },
        { model: "a".repeat(300) },
        { provider: "" },
        { provider: "Groq" },
        { from: "tomorrow" },
        { from: "2026-13-01" },
        { from: "2026-02-30" },
        { tiers: [{ aboveInputTokens: -1, inputUsdPerMillion: 1, outputUsdPerMillion: 1 }] },
        { inputUsdPerMilion: 1 }
      ]
      for (const change of wrong) {
        const error = yield* Effect.result(refusalOf({ entries: [{ ...entry, ...change }] }))
        assert.isTrue(Result.isSuccess(error) && error.success instanceof ConfigurationError, JSON.stringify(change))
      }
    })
  )
})
