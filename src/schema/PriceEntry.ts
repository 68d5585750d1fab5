import { DateTime, Option, Schema } from "effect"
import { isModelId } from "./ModelName.ts"
import { type NanoUsd, UsdAmount } from "./Money.ts"
import { type ModelRow, makeShelves, type PriceBook, type RateRow } from "./PriceBook.ts"

const Rates = {
  inputUsdPerMillion: UsdAmount,
  outputUsdPerMillion: UsdAmount,
  cachedInputUsdPerMillion: Schema.optionalKey(UsdAmount),
  cacheWriteUsdPerMillion: Schema.optionalKey(UsdAmount),
  cacheWrite1hUsdPerMillion: Schema.optionalKey(UsdAmount),
  reasoningUsdPerMillion: Schema.optionalKey(UsdAmount)
}

/**
 * A caller's own price, in dollars for a million tokens. `model` is the id, its dated snapshots included; `model*` has its
 * version suffixes too. A class that is left out costs what its parent does. Entries of one model with different `from` days
 * follow each other; before the first of them the built-in book holds.
 */
export const PriceEntry = Schema.Struct({
  model: Schema.String.check(
    Schema.makeFilter(
      (name: string) =>
        (isModelId(name) && /^[^*|]+\*?$/.test(name)) || "must be a model's id in plain ASCII, a * only at its end"
    )
  ),
  provider: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[a-z0-9._-]{1,64}$/))),
  /** The UTC day from which it holds. */
  from: Schema.optionalKey(
    Schema.String.check(Schema.makeFilter((day: string) => isDay(day) || "must be a day such as 2026-03-13"))
  ),
  ...Rates,
  /** Rates of the whole call once its input is longer. */
  tiers: Schema.optionalKey(
    Schema.Array(Schema.Struct({ aboveInputTokens: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), ...Rates }))
  )
})
export type PriceEntry = typeof PriceEntry.Type
export type PriceEntryInput = typeof PriceEntry.Encoded

/** A caller's entries as shelves of a price book. Of two for the same model and day the later one counts. */
export const shelvesOf = (entries: ReadonlyArray<PriceEntry>): PriceBook["own"] => {
  const providers = new Map<string, Map<string, Map<string, ReadonlyArray<RateRow>>>>()
  for (const entry of entries) {
    const models = providers.get(entry.provider ?? "") ?? new Map()
    const days = models.get(entry.model) ?? new Map()
    providers.set(entry.provider ?? "", models.set(entry.model, days))
    const tiers = [...(entry.tiers ?? [])].sort((a, b) => a.aboveInputTokens - b.aboveInputTokens)
    days.set(entry.from ?? "", [rowOf(0, entry), ...tiers.map((tier) => rowOf(tier.aboveInputTokens, tier))])
  }
  return makeShelves(
    { name: "options", version: "", date: "" },
    [...providers].map(([provider, models]) => [
      provider,
      [],
      [...models].map(
        ([model, days]): ModelRow => [model.replace(/\*$/, ""), model, [...days].sort(([a], [b]) => (a < b ? -1 : 1))]
      )
    ])
  )
}

/** A day that the calendar has: not 2026-02-30. */
const isDay = (text: string): boolean =>
  /^\d{4}-\d{2}-\d{2}$/.test(text) &&
  Option.exists(DateTime.make(`${text}T00:00:00Z`), (day) => DateTime.formatIsoDateUtc(day) === text)

const rowOf = (above: number, rates: Schema.Struct.Type<typeof Rates>): RateRow => [
  above,
  pico(rates.inputUsdPerMillion),
  pico(rates.outputUsdPerMillion),
  pico(rates.cachedInputUsdPerMillion),
  pico(rates.cacheWriteUsdPerMillion),
  pico(rates.cacheWrite1hUsdPerMillion),
  pico(rates.reasoningUsdPerMillion)
]

/** Nano-dollars for a million tokens as pico-dollars for one, rounded up; -1 leaves the class to its parent. */
const pico = (perMillion: NanoUsd | undefined): bigint => (perMillion === undefined ? -1n : (perMillion + 999n) / 1000n)
