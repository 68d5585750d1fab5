import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type MatchLogic, type ModelPrice, type Provider, waitForUpdate } from "@pydantic/genai-prices"
import type { Generator } from "../generate.ts"

/** Turns the price data inside `@pydantic/genai-prices` into `src/schema/prices.generated.ts`. Opens no connection. */
const prices: Generator = {
  output: "src/schema/prices.generated.ts",
  generate: async () => {
    const folder = join(import.meta.dirname, "../../node_modules/@pydantic/genai-prices")
    const { version }: { version: string } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    const date = publishedOn[version]
    if (date === undefined)
      throw new Error(`write into publishedOn when @pydantic/genai-prices ${version} was published`)
    const sha256 = createHash("sha256")
      .update(readFileSync(join(folder, "dist/index.js")))
      .digest("hex")
    const licence = readFileSync(join(folder, "LICENSE"), "utf8").trim().split("\n")
    const providers = (await waitForUpdate()) ?? []
    return [
      `// Made by \`npm run generate\` from @pydantic/genai-prices ${version}. Rates are pico-USD per token. The data's licence:`,
      "//",
      ...licence.map((line) => `// ${line}`.trimEnd()),
      'import type { ProviderRow } from "./PriceBook.ts"',
      "",
      `export const priceSource = { name: "@pydantic/genai-prices", version: ${JSON.stringify(version)}, date: ${JSON.stringify(date)}, sha256: "${sha256}" }`,
      "",
      "export const priceRows: ReadonlyArray<ProviderRow> = [",
      providers
        .map((provider) => providerRow(provider))
        .filter((row) => row !== undefined)
        .join(",\n"),
      "]",
      ""
    ].join("\n")
  }
}

export default prices

/** The package carries no date; these are the registry's. */
const publishedOn: Record<string, string | undefined> = { "0.1.8": "2026-09-23" }

function providerRow(provider: Provider): string | undefined {
  const taken = new Set<string>()
  const models: Array<string> = []
  for (const model of provider.models) {
    const dated = Array.isArray(model.prices) ? model.prices : [{ prices: model.prices }]
    // No input price means free, or sold by the hour or page: unknown to a budget of tokens, never zero (DEC-08).
    if (dated.some(({ prices }) => prices.input_mtok === undefined || prices.requests_kcount !== undefined)) continue
    const names = [...new Set(namesOf(provider.id, model.match))].filter((name) => {
      const winner = provider.models.find((other) => matches(other.match, name.replaceAll("*", "")))
      return (winner === undefined || winner === model) && !taken.has(name)
    })
    for (const name of names) taken.add(name)
    if (names.length === 0) continue
    if (names.some((name) => name.includes("|"))) throw new Error(`${provider.id}/${model.id}: a name holds a bar`)
    if (dated[0]?.constraint !== undefined)
      throw new Error(`${provider.id}/${model.id}: there is a time without a price`)
    const rows = dated.map((entry) => `["${whenOf(entry)}",${tiersOf(entry.prices)}]`)
    const partial = dated.some(({ prices }) => Object.keys(prices).some((key) => otherUnits.test(key)))
    models.push(
      `[${JSON.stringify(model.id)},${JSON.stringify(names.join("|"))},[${rows.join(",")}]${partial ? ",1" : ""}]`
    )
  }
  if (models.length === 0) return undefined
  return `[${JSON.stringify(provider.id)},${JSON.stringify(provider.fallback_model_providers ?? [])},[\n${models.join(",\n")}\n]]`
}

/** Units beside text tokens that a call to the model may be charged for, other than searches that the caller asks for. */
const otherUnits = /audio|image|video|_hours|_kpages|messages_kcount|citation/

/**
 * What a rule of the package becomes: `name` is itself and its dated snapshots, `name*` also version suffixes, and a leading
 * `*` also the routes of a host. PriceBook.ts has the grammar of both. A rule that is not understood stops the generator.
 */
function namesOf(provider: string, rule: MatchLogic): ReadonlyArray<string> {
  if ("or" in rule) return rule.or.flatMap((part) => namesOf(provider, part))
  // The second half of a conjunction only narrows: it keeps `-tts` out, which our grammar of suffixes does not let in.
  if ("and" in rule) return namesOf(provider, rule.and[0]!)
  if ("equals" in rule) return [rule.equals]
  if ("starts_with" in rule) return irregular[rule.starts_with] ?? [`${rule.starts_with.replace(/[-@]$/, "")}*`]
  if ("contains" in rule) {
    const stems = irregular[rule.contains] ?? [`${rule.contains.replace(/[-@]$/, "")}*`]
    return stems.flatMap((stem) => [`*${stem}`, ...(brands[provider] ?? []).map((brand) => brand + stem)])
  }
  if ("ends_with" in rule) return [`*${rule.ends_with}`]
  const dated = /^\^([\w./\\-]+)-\\d\{(?:8\}|4\}-\\d\{2\}-\\d\{2\})\$$/.exec(rule.regex)
  if (dated !== null) return [dated[1]!.replaceAll("\\", "")]
  const literal = /^\^([\w.\\[\]=-]+)\$$/.exec(rule.regex)
  if (literal !== null) return [literal[1]!.replaceAll("\\", "")]
  const open = /^\^([\w.\\-]+)-\\d$/.exec(rule.regex)
  if (open !== null) return [`${open[1]!.replaceAll("\\", "")}*`]
  throw new Error(`${provider}: do not know what to make of ${JSON.stringify(rule)}`)
}

/** Prefixes that end in the middle of a word, written out. */
const irregular: Record<string, ReadonlyArray<string> | undefined> = {
  "claude-sonnet-4-2025": ["claude-sonnet-4-20250514"],
  "claude-opus-4@": ["claude-opus-4@20250514", "claude-opus-4@default"],
  "claude-sonnet-4@": ["claude-sonnet-4@20250514", "claude-sonnet-4@default"],
  "gemini-2.0-flash-0": ["gemini-2.0-flash-001"],
  "gemini-2.0-flash-exp": ["gemini-2.0-flash-exp*"],
  "ft:gpt-3.5-turbo": ["ft:gpt-3.5-turbo", "ft:gpt-3.5-turbo-0613", "ft:gpt-3.5-turbo-0125", "ft:gpt-3.5-turbo-1106"],
  "ft:gpt-4-0": ["ft:gpt-4-0613"],
  "ft:gpt-4o-2024-": ["ft:gpt-4o-2024-05-13", "ft:gpt-4o-2024-08-06", "ft:gpt-4o-2024-11-20"],
  "ft:gpt-4o-mini-2024-": ["ft:gpt-4o-mini-2024-07-18"],
  "gpt-4o-mini-2024-07-18.ft-": ["gpt-4o-mini-2024-07-18.ft"],
  "claude-2": ["claude-2*", "claude-2.0", "claude-2.1"],
  "mixtral-8x7b": ["mixtral-8x7b*", "mixtral-8x7b-instruct", "mixtral-8x7b-instruct-v0.1"]
}

/** What a maker puts before names that its rules match in the middle. */
const brands: Record<string, ReadonlyArray<string> | undefined> = {
  cohere: ["c4ai-"],
  minimax: ["MiniMax-", "minimax-"]
}

function matches(rule: MatchLogic, id: string): boolean {
  const name = id.toLowerCase()
  if ("or" in rule) return rule.or.some((part) => matches(part, id))
  if ("and" in rule) return rule.and.every((part) => matches(part, id))
  if ("equals" in rule) return name === rule.equals.toLowerCase()
  if ("starts_with" in rule) return name.startsWith(rule.starts_with.toLowerCase())
  if ("ends_with" in rule) return name.endsWith(rule.ends_with.toLowerCase())
  if ("contains" in rule) return name.includes(rule.contains.toLowerCase())
  return new RegExp(rule.regex).test(name)
}

function whenOf(entry: { readonly constraint?: unknown }): string {
  const constraint = entry.constraint as
    | { type: "start_date"; start_date: string }
    | { type: "time_of_date"; start_time: string; end_time: string }
    | undefined
  if (constraint === undefined) return ""
  if (constraint.type === "start_date") return constraint.start_date
  const times = /^(\d\d:\d\d):00Z$/
  const from = times.exec(constraint.start_time)
  const to = times.exec(constraint.end_time)
  if (from === null || to === null) throw new Error(`not a whole minute of UTC: ${JSON.stringify(constraint)}`)
  return `${from[1]}/${to[1]}`
}

const classes = [
  "input_mtok",
  "output_mtok",
  "cache_read_mtok",
  "cache_write_mtok",
  "cache_write_1h_mtok",
  "output_reasoning_mtok"
]

/** One row per context threshold: the threshold, then the classes in order, -1 where the class costs what its parent does. */
function tiersOf(price: ModelPrice): string {
  const values = classes.map((key) => price[key])
  const starts = values.flatMap((value) => (typeof value === "object" ? value.tiers.map((tier) => tier.start) : []))
  const rows = [...new Set([-1, ...starts])]
    .sort((a, b) => a - b)
    .map((start) => {
      const rates = values.map((value) => rateAt(value, start))
      while (rates.at(-1) === -1) rates.pop()
      return `[${[start === -1 ? 0 : start, ...rates].join(",")}]`
    })
  return `[${rows.join(",")}]`
}

function rateAt(value: ModelPrice[string], start: number): number {
  if (value === undefined) return -1
  if (typeof value === "number") return picoPerToken(value)
  const reached = [...value.tiers].sort((a, b) => a.start - b.start).filter((tier) => tier.start <= start)
  return picoPerToken(reached.at(-1)?.price ?? value.base)
}

/** Dollars per million tokens in pico-dollars per token, from the decimal form and rounded up: 0.1 + 0.2 has no place here. */
function picoPerToken(usdPerMillion: number): number {
  const match = /^(\d+)(?:\.(\d+))?(?:e-(\d+))?$/.exec(String(usdPerMillion))
  if (match === null) throw new Error(`not a price: ${usdPerMillion}`)
  const [, whole = "0", fraction = "", exponent = "0"] = match
  const divisor = 10n ** BigInt(fraction.length + Number(exponent))
  return Number((BigInt(whole + fraction) * 1_000_000n + divisor - 1n) / divisor)
}
