import { Clock, Context, DateTime, Effect, Layer, Option, Result, Schema } from "effect"
import type { Hold, Usage } from "../schema/Call.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import { NanoUsd, PicoUsdPerToken, parseUsd } from "../schema/Money.ts"
import { findPrice, makeShelves, type Price, type PriceBook } from "../schema/PriceBook.ts"
import { PriceEntry, type PriceEntryInput, shelvesOf } from "../schema/PriceEntry.ts"
import { type Charge, charge, UnknownModelError, worstCase } from "../schema/Pricing.ts"
import { priceRows, priceSource } from "../schema/prices.generated.ts"
import { Settings } from "./Settings.ts"

export interface PricingOptions {
  /** A caller's own prices, in dollars for a million tokens; they win over the built-in book. */
  readonly entries?: ReadonlyArray<PriceEntryInput>
  /** Default true: a model without a price fails with `UnknownModelError`. */
  readonly strictUnknownModels?: boolean
  /** Dollars for a million tokens, input and output alike, of a model without a price; only when not strict (CST-08). */
  readonly unknownModelFallbackUsdPerMillion?: number | string | NanoUsd | null
  /** What a call that names no maximum may answer with; without one it holds all that is left (DEC-21). */
  readonly defaultMaxTokens?: number | null
}

/** What is known of a call before it is made. */
export interface PricingQuestion {
  readonly model: string
  readonly provider?: string
  /** Left out: only the answer is projected. Callers without a tokenizer take `estimateInputTokens` of schema/Pricing.ts. */
  readonly inputTokens?: number
  readonly maxTokens?: number
  /** False when the request writes nothing into a provider's cache; a write costs more than plain input. */
  readonly cacheWrites?: boolean
}

/** Where a call was made, and when it began. */
export interface PricedAt {
  readonly provider?: string | undefined
  /** Now when left out. */
  readonly at?: DateTime.DateTime | undefined
}

/** What a model's tokens cost. An unknown model is refused before any money is spent (DEC-08, OQ-12). */
export class Pricing extends Context.Service<
  Pricing,
  {
    /** The charge for what a call used, rounded up once. Fails with `InvalidInput` on numbers that are no token counts. */
    readonly price: (usage: Usage, options?: PricedAt) => Effect.Effect<Charge, UnknownModelError | InvalidInput>
    /** What to hold for a call: its dearest outcome, or `Remaining` when nothing bounds its answer (CST-05). */
    readonly worstCase: (call: PricingQuestion) => Effect.Effect<Hold, UnknownModelError | InvalidInput>
    /** The entry of the book that holds now; none for a model that only the fallback rate would price. */
    readonly listed: (model: string, provider?: string) => Effect.Effect<Option.Option<Price>>
    /** Whether a call to the model can be priced, the fallback rate included. */
    readonly knows: (model: string, provider?: string) => Effect.Effect<boolean>
  }
>()("effect-governance/services/Pricing") {}

export const make = Effect.fnUntraced(function* (options: PricingOptions = {}) {
  const entries = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Schema.Array(PriceEntry))(options.entries ?? [], { onExcessProperty: "error" }),
    (error) => new ConfigurationError({ setting: "prices", problem: error.message })
  )
  const book: PriceBook = { providers: builtIn(), own: shelvesOf(entries) }
  const fallback = yield* fallbackOf(options)
  const defaultMaxTokens = options.defaultMaxTokens ?? undefined
  if (defaultMaxTokens !== undefined && !(Number.isSafeInteger(defaultMaxTokens) && defaultMaxTokens >= 1)) {
    return yield* new ConfigurationError({
      setting: "defaultMaxTokens",
      problem: "must be a whole number of at least 1"
    })
  }
  const warned = new Set<string>()

  const find = Effect.fnUntraced(function* (model: string, provider?: string, at?: DateTime.DateTime) {
    const atMs = at === undefined ? yield* Clock.currentTimeMillis : DateTime.toEpochMillis(at)
    const found = findPrice(book, model, provider, atMs)
    if (Option.isSome(found)) return found.value
    return fallback ?? (yield* new UnknownModelError({ model: model.slice(0, 256), provider: provider ?? null }))
  })

  return Pricing.of({
    price: Effect.fnUntraced(function* (usage, { provider, at } = {}) {
      const price = yield* find(usage.model, provider, at)
      const usd = yield* Effect.fromResult(charge(price, usage))
      const { name, version, date } = price.source
      return {
        usd,
        tokens: BigInt(usage.inputTokens) + BigInt(usage.outputTokens),
        source: { name, version, date, entry: price.entry },
        estimated: price.partial
      }
    }),
    worstCase: Effect.fnUntraced(function* ({
      model,
      provider,
      inputTokens = 0,
      maxTokens = defaultMaxTokens,
      cacheWrites = true
    }) {
      const price = yield* find(model, provider)
      const worst = yield* Effect.fromResult(worstCase(price, { inputTokens, maxTokens: maxTokens ?? 0, cacheWrites }))
      if (maxTokens !== undefined) return { _tag: "Exact", ...worst }
      if (!warned.has(price.entry)) {
        warned.add(price.entry)
        yield* Effect.logWarning("cost.max_tokens_not_declared", { model: price.entry })
      }
      return { _tag: "Remaining" }
    }),
    listed: (model, provider) => Effect.map(Clock.currentTimeMillis, (now) => findPrice(book, model, provider, now)),
    knows: (model, provider) => Effect.isSuccess(find(model, provider))
  })
})

/** Prices from the built-in book and the options given. Fails with `ConfigurationError` (CFG-07, CFG-08, OQ-34). */
export const layer = (options?: PricingOptions) => Layer.effect(Pricing, make(options))

/** The same, with what `Settings` says about unknown models and the default maximum. */
export const layerSettings = (entries?: ReadonlyArray<PriceEntryInput>) =>
  Layer.effect(
    Pricing,
    Effect.flatMap(Settings, (settings) =>
      make({
        entries: entries ?? [],
        strictUnknownModels: settings.costStrictUnknownModels,
        unknownModelFallbackUsdPerMillion: settings.costUnknownModelFallbackUsdPerMillion,
        defaultMaxTokens: settings.defaultMaxTokens
      })
    )
  )

let shelves: PriceBook["providers"] | undefined
const builtIn = () => {
  // Made on first use: a process that prices nothing does not pay for the index.
  shelves ??= makeShelves(priceSource, priceRows)
  return shelves
}

const fallbackSetting = "costUnknownModelFallbackUsdPerMillion"

const fallbackOf = Effect.fnUntraced(function* (options: PricingOptions) {
  const given = options.unknownModelFallbackUsdPerMillion ?? undefined
  const rate =
    given === undefined
      ? undefined
      : typeof given === "bigint"
        ? given
        : Result.getOrElse(parseUsd(given), () => NanoUsd.make(0n))
  if (rate !== undefined && rate <= 0n) {
    return yield* new ConfigurationError({ setting: fallbackSetting, problem: "must be an amount of dollars above 0" })
  }
  if (options.strictUnknownModels !== false) return undefined
  if (rate === undefined) {
    const problem = `false needs ${fallbackSetting} as well: an unknown model must not be free`
    return yield* new ConfigurationError({ setting: "costStrictUnknownModels", problem })
  }
  return flat(rate)
})

const flat = (perMillion: NanoUsd): Price => {
  const rate = PicoUsdPerToken.make((perMillion + 999n) / 1000n)
  const [input, output, cachedInput, cacheWrite, cacheWrite1h, reasoning] = [rate, rate, rate, rate, rate, rate]
  return {
    entry: fallbackSetting,
    source: { name: "options", version: "", date: "" },
    tiers: [{ aboveInputTokens: 0, input, output, cachedInput, cacheWrite, cacheWrite1h, reasoning }],
    partial: true
  }
}
