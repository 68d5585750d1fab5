import { calcPrice, type MatchLogic, type Provider, waitForUpdate } from "@pydantic/genai-prices"
import { Option, Result } from "effect"
import { beforeAll, describe, expect, test } from "vitest"
import { findPrice, makeShelves, type PriceBook } from "../../src/schema/PriceBook.ts"
import { charge } from "../../src/schema/Pricing.ts"
import { priceRows, priceSource } from "../../src/schema/prices.generated.ts"

// The package that the book is made from is the oracle. Ids are what its rules say and what hosts make of them; each is priced
// with random usage at random moments of 2024 to 2027 by both.
const book: PriceBook = { providers: makeShelves(priceSource, priceRows), own: new Map() }
let providers: ReadonlyArray<Provider> = []

beforeAll(async () => {
  providers = (await waitForUpdate()) ?? []
})

/** Rates that are no whole pico-USD a token are rounded up, so these may cost up to one pico-USD a token more. */
const roundedUp = [
  "huggingface_together/Qwen/Qwen3-VL-8B-Instruct",
  "openrouter/google/gemini-2.5-flash-image",
  "openrouter/google/gemini-2.5-flash-lite",
  "openrouter/google/gemini-3-flash-preview",
  "openrouter/google/gemini-3.1-flash-lite",
  "openrouter/google/gemini-3.5-flash",
  "openrouter/~google/gemini-flash-latest"
]

describe("The price book against the library it is made from", () => {
  test("BEY-08: every id that both know costs the same to the nano-dollar, whatever the usage and the date", () => {
    const random = mulberry32(20260923)
    const unexplained: Array<string> = []
    const rounded = new Set<string>()
    const only = { book: 0, library: 0 }
    let compared = 0
    for (const provider of providers) {
      for (const [id, kind] of idsOf(provider)) {
        for (let run = 0; run < 6; run++) {
          const at = Date.UTC(2024, 0, 1) + Math.floor(random() * 4 * 365 * 86_400_000)
          const usage = randomUsage(random)
          const theirs = calcPrice(libraryUsage(usage), id, { providerId: provider.id, timestamp: new Date(at) })
          const ours = findPrice(book, id, provider.id, at)
          if (theirs === null || Option.isNone(ours)) {
            if (theirs !== null) {
              only.library++
              const tokens =
                theirs.model_price.input_mtok !== undefined && theirs.model_price.requests_kcount === undefined
              if (tokens) unexplained.push(`${provider.id} ${id}: unknown to the book`)
            } else if (Option.isSome(ours)) {
              only.book++
              if (kind === "listed") unexplained.push(`${provider.id} ${id}: unknown to the library`)
            }
            continue
          }
          compared++
          const nano = Number(Result.getOrThrow(charge(ours.value, usage)))
          const excess = nano - theirs.total_price * 1e9
          const float = theirs.total_price * 1e9 * 1e-12 + 1e-6
          if (excess > -float && excess < 1 + float) continue
          const perToken = (usage.inputTokens + usage.outputTokens) / 1000
          if (excess > 0 && excess < perToken + 1 + float) rounded.add(ours.value.entry)
          else unexplained.push(`${provider.id} ${id}: ${nano} nano-USD, the library ${theirs.total_price * 1e9}`)
        }
      }
    }
    expect([...new Set(unexplained)].slice(0, 100)).toEqual([])
    expect([...rounded].sort()).toEqual(roundedUp)
    expect(compared).toBeGreaterThan(15_000)
    // Known to one side only. The library: free models, and those sold by the hour, page or request (`{}` is no price, DEC-08).
    // The book: dated snapshots of names that the library lists one by one (CST-10).
    expect(only.library).toBeGreaterThan(0)
    expect(only.book).toBeGreaterThan(0)
  })

  test("DEC-08: what the library knows without a provider has the same price, and the same provider, in the book", () => {
    const at = Date.UTC(2026, 8, 23, 12)
    const usage = { inputTokens: 1000, outputTokens: 500 }
    const unexplained: Array<string> = []
    let compared = 0
    for (const provider of providers) {
      for (const [id, kind] of idsOf(provider)) {
        const theirs = kind === "listed" ? calcPrice(libraryUsage(usage), id, { timestamp: new Date(at) }) : null
        if (theirs === null || theirs.model_price.input_mtok === undefined) continue
        const ours = findPrice(book, id, undefined, at)
        // An id of another host's that only begins like a maker's model (`deepseek-r1-distill-qwen-7b`, `claude-2:beta`).
        if (Option.isNone(ours) && theirs.provider.id !== provider.id) continue
        compared++
        const entry = Option.match(ours, {
          onNone: () => "unknown",
          onSome: (price) => price.entry.replace(/@\d.*$/, "")
        })
        if (entry !== `${theirs.provider.id}/${theirs.model.id}`) {
          unexplained.push(`${id}: ${entry}, the library ${theirs.provider.id}/${theirs.model.id}`)
        }
      }
    }
    expect(unexplained).toEqual([])
    expect(compared).toBeGreaterThan(300)
  })
})

type Kind = "listed" | "version"

/** What hosts put before a model's name. */
const routes: Record<string, ReadonlyArray<string> | undefined> = {
  aws: ["", "us.", "us.anthropic.", "eu.", "global."],
  google: ["", "models/", "publishers/google/models/", "publishers/anthropic/models/"]
}

/** Ids that the provider's rules name, and those with the routes and version suffixes that its host adds. */
function idsOf(provider: Provider): ReadonlyMap<string, Kind> {
  const ids = new Map<string, Kind>()
  const add = (id: string, kind: Kind) => ids.get(id) ?? ids.set(id, kind)
  const walk = (rule: MatchLogic): void => {
    if ("or" in rule) {
      for (const part of rule.or) walk(part)
      return
    }
    if ("and" in rule) {
      walk(rule.and[0]!)
      return
    }
    if ("equals" in rule) {
      add(rule.equals, "listed")
      for (const tail of ["-20270131", "-2027-01-31"]) add(rule.equals + tail, "version")
      return
    }
    const stem =
      "starts_with" in rule
        ? rule.starts_with
        : "contains" in rule
          ? rule.contains
          : "ends_with" in rule
            ? rule.ends_with
            : ""
    if (stem === "" || /[-@]$|-20\d\d$|-0$/.test(stem)) return
    const heads =
      "starts_with" in rule || /^(us|us-gov|eu|jp|in|au|apac|global)\./.test(stem)
        ? [""]
        : (routes[provider.id] ?? [""])
    const dates = /-20\d{6}$|-20\d\d-\d\d-\d\d$/.test(stem) ? [] : ["-20260131", "-2026-01-31", "@20260131"]
    const tails = stem.startsWith("ft:")
      ? ["", ":acme::9abcDEF"]
      : "ends_with" in rule
        ? [""]
        : ["", ...dates, "-001", "-v1:0", "-latest", "-preview-05-06"]
    for (const head of heads) for (const tail of tails) add(head + stem + tail, "version")
  }
  for (const model of provider.models) walk(model.match)
  return ids
}

interface RandomUsage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens?: number
  readonly cacheWriteTokens?: number
  readonly cacheWrite1hTokens?: number
  readonly reasoningTokens?: number
}

function randomUsage(random: () => number): RandomUsage {
  const below = (limit: number) => Math.floor(random() * (limit + 1))
  const edge = [0, 1, 128_000, 199_999, 200_000, 200_001, 271_999, 272_000, 272_001]
  const inputTokens = random() < 0.3 ? edge[below(edge.length - 1)]! : below(random() < 0.5 ? 5_000 : 1_500_000)
  const outputTokens = below(100_000)
  const cachedInputTokens = random() < 0.5 ? 0 : below(inputTokens)
  const cacheWriteTokens = random() < 0.5 ? 0 : below(inputTokens - cachedInputTokens)
  const cacheWrite1hTokens = random() < 0.5 ? 0 : below(cacheWriteTokens)
  const reasoningTokens = random() < 0.5 ? 0 : below(outputTokens)
  return { inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, cacheWrite1hTokens, reasoningTokens }
}

function libraryUsage(usage: RandomUsage) {
  return {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_tokens: usage.cachedInputTokens ?? 0,
    cache_write_tokens: usage.cacheWriteTokens ?? 0,
    cache_write_1h_tokens: usage.cacheWrite1hTokens ?? 0,
    output_reasoning_tokens: usage.reasoningTokens ?? 0
  }
}

/** A seeded generator of numbers, so that a failure can be run again. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
