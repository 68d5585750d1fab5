import { DateTime, Option } from "effect"
import { isModelId, isVersionOf, type NameRule, parseName, stemsOf, withoutPath, withoutRoutes } from "./ModelName.ts"
import { canonicalProvider, makers } from "./ModelProvider.ts"
import { PicoUsdPerToken } from "./Money.ts"

/** What one token of each class costs. Cached input and cache writes are part of the input, reasoning of the output. */
export interface Rates {
  readonly input: PicoUsdPerToken
  readonly output: PicoUsdPerToken
  readonly cachedInput: PicoUsdPerToken
  readonly cacheWrite: PicoUsdPerToken
  /** Writes that stay in the cache for an hour. */
  readonly cacheWrite1h: PicoUsdPerToken
  readonly reasoning: PicoUsdPerToken
}

/** The rates of a whole call whose input has more tokens than this. */
export interface Tier extends Rates {
  readonly aboveInputTokens: number
}

/** What a model costs at one moment, and where that is written. The first tier holds for every call. */
export interface Price {
  /** `openai/gpt-4o`, with `@2026-03-13` when the price began on a day: what a charge names as its entry. */
  readonly entry: string
  readonly source: PriceSource
  readonly tiers: ReadonlyArray<Tier>
  /** The model is also sold by units that no `Usage` counts, such as audio or images: a charge is a lower bound. */
  readonly partial: boolean
}

/** Which edition of which list a price is from. */
export interface PriceSource {
  readonly name: string
  readonly version: string
  readonly date: string
}

/** When a price holds: always, from a day on (`2026-03-13`), or in a window of every UTC day (`16:30/00:30`). */
export type When = string

/** [threshold, input, output, cached input, cache write, 1 h cache write, reasoning]; missing or -1: as its parent class. */
export type RateRow = ReadonlyArray<number | bigint>
export type ModelRow = readonly [
  id: string,
  names: string,
  prices: ReadonlyArray<readonly [when: When, tiers: ReadonlyArray<RateRow>]>,
  partial?: 1
]
export type ProviderRow = readonly [id: string, fallback: ReadonlyArray<string>, models: ReadonlyArray<ModelRow>]

/** Prices by provider and name, and the caller's own entries, which win; those for any provider are on the shelf "". */
export interface PriceBook {
  readonly providers: ReadonlyMap<string, Shelf>
  readonly own: ReadonlyMap<string, Shelf>
}

export interface Shelf {
  readonly fallback: ReadonlyArray<string>
  readonly names: ReadonlyMap<string, { readonly rule: NameRule; readonly prices: ReadonlyArray<DatedPrice> }>
}

interface DatedPrice {
  readonly holds: (atMs: number) => boolean
  readonly price: Price
}

export const makeShelves = (source: PriceSource, rows: ReadonlyArray<ProviderRow>): ReadonlyMap<string, Shelf> => {
  const providers = new Map<string, Shelf>()
  for (const [provider, fallback, models] of rows) {
    const names = new Map<string, { rule: NameRule; prices: ReadonlyArray<DatedPrice> }>()
    for (const [id, list, prices, partial] of models) {
      const dated = prices.map(([when, tiers]) => ({
        holds: holdsOf(when),
        price: {
          entry: `${provider === "" ? "" : `${provider}/`}${id}${when === "" ? "" : `@${when}`}`,
          source,
          tiers: tiers.map(tierOf),
          partial: partial === 1
        }
      }))
      for (const rule of list.split("|").map(parseName)) {
        const before = names.get(rule.stem)
        if (before === undefined) names.set(rule.stem, { rule, prices: dated })
        else if (before.prices === dated) {
          const { versions, routes } = before.rule
          names.set(rule.stem, {
            rule: { stem: rule.stem, versions: versions || rule.versions, routes: routes || rule.routes },
            prices: dated
          })
        }
      }
    }
    providers.set(provider, { fallback, names })
  }
  return providers
}

/**
 * The price of a model at a moment. With a provider only that provider's prices count. Without one the id must be one that
 * a model's own maker uses, or name its host (`groq/llama-3.3-70b-versatile`): an open model has no price without a host.
 */
export const findPrice = (
  book: PriceBook,
  model: string,
  provider: string | undefined,
  atMs: number
): Option.Option<Price> => {
  if (!isModelId(model)) return Option.none()
  const own = find(book.own, provider === undefined ? [""] : [canonicalProvider(provider), ""], model, atMs)
  // A caller's price of a family must not replace the book's price of a dated snapshot (DEC-08).
  if (own?.exact === true) return Option.some(own.price)
  const listed = find(book.providers, provider === undefined ? makers : [canonicalProvider(provider)], model, atMs)
  const found = listed?.exact === true ? listed : (own ?? listed)
  if (found !== undefined) return Option.some(found.price)
  const [, host, rest] = /^([a-z0-9._-]+)[/:](.+)$/.exec(model) ?? []
  return provider !== undefined || host === undefined || rest === undefined || !hosted(book, canonicalProvider(host))
    ? Option.none()
    : findPrice(book, rest, host, atMs)
}

const hosted = (book: PriceBook, provider: string) => book.providers.has(provider) || book.own.has(provider)

interface Found {
  readonly price: Price
  /** The id is a name in the book, not a version of one. */
  readonly exact: boolean
}

const find = (
  shelves: PriceBook["own"],
  providers: ReadonlyArray<string>,
  model: string,
  atMs: number
): Found | undefined => {
  for (const provider of providers) {
    const shelf = shelves.get(provider)
    if (shelf === undefined) continue
    const found = onShelf(shelf, provider, model)
    const price = found?.prices.findLast((dated) => dated.holds(atMs))?.price
    if (found !== undefined && price !== undefined) return { price, exact: found.exact }
    const other = find(shelves, shelf.fallback, model, atMs)
    if (other !== undefined) return other
  }
  return undefined
}

/** The longest name that the id continues only by a version, so a dated snapshot's own entry beats its family's. */
const onShelf = (shelf: Shelf, provider: string, model: string) => {
  const plain = provider === "google" || provider === "aws" ? withoutPath(model) : model
  for (const id of withoutRoutes(plain)) {
    for (const stem of stemsOf(id)) {
      const found = shelf.names.get(stem)
      if (found === undefined || (id !== plain && !found.rule.routes)) continue
      if (isVersionOf(found.rule, id.slice(stem.length))) return { prices: found.prices, exact: stem === id }
    }
  }
  return undefined
}

const holdsOf = (when: When): DatedPrice["holds"] => {
  if (when === "") return () => true
  const window = /^(\d\d):(\d\d)\/(\d\d):(\d\d)$/.exec(when)
  if (window === null) {
    const from = DateTime.makeUnsafe(`${when}T00:00:00Z`).epochMilliseconds
    return (atMs) => atMs >= from
  }
  const [from = 0, to = 0] = [0, 2].map((at) => (Number(window[at + 1]) * 60 + Number(window[at + 2])) * 60_000)
  return (atMs) => {
    const time = ((atMs % 86_400_000) + 86_400_000) % 86_400_000
    return from <= to ? time >= from && time < to : time >= from || time < to
  }
}

const tierOf = ([above = 0, input = 0, ...others]: RateRow): Tier => {
  const or = (at: number, parent: bigint) => {
    const rate = BigInt(others[at] ?? -1)
    return rate === -1n ? parent : rate
  }
  const cacheWrite = or(2, BigInt(input))
  const output = or(0, 0n)
  return {
    aboveInputTokens: Number(above),
    input: pico(input),
    output: pico(output),
    cachedInput: pico(or(1, BigInt(input))),
    cacheWrite: pico(cacheWrite),
    cacheWrite1h: pico(or(3, cacheWrite)),
    reasoning: pico(or(4, output))
  }
}

const pico = (rate: number | bigint): PicoUsdPerToken => PicoUsdPerToken.make(BigInt(rate))
