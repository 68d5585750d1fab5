import { Option } from "effect"
import { describe, expect, test } from "vitest"
import { findPrice, makeShelves, type PriceBook } from "../../src/schema/PriceBook.ts"
import { priceRows, priceSource } from "../../src/schema/prices.generated.ts"

const book: PriceBook = { providers: makeShelves(priceSource, priceRows), own: new Map() }
const noon = Date.UTC(2026, 8, 23, 12)

const entryOf = (id: string, provider?: string) =>
  Option.match(findPrice(book, id, provider, noon), { onNone: () => undefined, onSome: (price) => price.entry })

/** id, provider or none, entry. */
const known: ReadonlyArray<readonly [string, string | undefined, string]> = [
  ["gpt-4o", undefined, "openai/gpt-4o"],
  ["gpt-4o-2024-05-13", undefined, "openai/gpt-4o-2024-05-13"],
  ["gpt-4o-2024-08-06", undefined, "openai/gpt-4o"],
  ["gpt-4o-2024-11-20", undefined, "openai/gpt-4o"],
  ["gpt-4o-2027-01-31", undefined, "openai/gpt-4o"],
  ["gpt-4o-mini", undefined, "openai/gpt-4o-mini"],
  ["gpt-4o-mini-2024-07-18", undefined, "openai/gpt-4o-mini"],
  ["gpt-4o-mini-2027-02-01", undefined, "openai/gpt-4o-mini"],
  ["gpt-4.1", undefined, "openai/gpt-4.1"],
  ["gpt-4.1-mini", undefined, "openai/gpt-4.1-mini"],
  ["gpt-4.1-nano", undefined, "openai/gpt-4.1-nano"],
  ["gpt-4-turbo", undefined, "openai/gpt-4-turbo"],
  ["gpt-4-turbo-2024-04-09", undefined, "openai/gpt-4-turbo"],
  ["gpt-4", undefined, "openai/gpt-4"],
  ["gpt-4-0613", undefined, "openai/gpt-4"],
  ["gpt-4-32k", undefined, "openai/gpt-4-32k"],
  ["gpt-3.5-turbo", undefined, "openai/gpt-3.5-turbo"],
  ["gpt-3.5-turbo-0613", undefined, "openai/gpt-3.5-turbo-0613"],
  ["gpt-3.5-turbo-16k", undefined, "openai/gpt-3.5-turbo-16k"],
  ["gpt-5", undefined, "openai/gpt-5"],
  ["gpt-5-mini", undefined, "openai/gpt-5-mini"],
  ["gpt-5-pro", undefined, "openai/gpt-5-pro"],
  ["gpt-5.4", undefined, "openai/gpt-5.4"],
  ["gpt-5.6-sol-2026-09-01", undefined, "openai/gpt-5.6-sol@2026-08-21"],
  ["o1", undefined, "openai/o1"],
  ["o1-mini", undefined, "openai/o1-mini"],
  ["o3", undefined, "openai/o3@2025-06-10"],
  ["o3-mini", undefined, "openai/o3-mini"],
  ["o4-mini", undefined, "openai/o4-mini"],
  ["text-embedding-3-small", undefined, "openai/text-embedding-3-small"],
  ["ft:gpt-4o-2024-08-06:acme::9abcDEF", undefined, "openai/ft:gpt-4o"],
  ["ft:gpt-4o-mini-2024-07-18:acme:suffix:9abcDEF", undefined, "openai/ft:gpt-4o-mini"],
  ["openai/gpt-4o", undefined, "openai/gpt-4o"],
  ["openai:gpt-4o", undefined, "openai/gpt-4o"],
  ["gpt-4o", "openai", "openai/gpt-4o"],
  ["gpt-4o", "openai.chat", "openai/gpt-4o"],
  ["gpt-4o", "azure", "openai/gpt-4o"],
  ["openai/gpt-4o", "openrouter", "openrouter/openai/gpt-4o"],
  ["openrouter/openai/gpt-4o", undefined, "openrouter/openai/gpt-4o"],
  ["claude-opus-4-7", undefined, "anthropic/claude-opus-4-7"],
  ["claude-sonnet-4-6", undefined, "anthropic/claude-sonnet-4-6@2026-03-13"],
  ["claude-sonnet-4-6-20260401", undefined, "anthropic/claude-sonnet-4-6@2026-03-13"],
  ["claude-haiku-4-5", undefined, "anthropic/claude-haiku-4-5"],
  ["claude-haiku-4-5-20251001", undefined, "anthropic/claude-haiku-4-5"],
  ["claude-sonnet-4-5-20250929", undefined, "anthropic/claude-sonnet-4-5"],
  ["claude-sonnet-4-20250514", undefined, "anthropic/claude-sonnet-4-0"],
  ["claude-opus-4-1-20250805", undefined, "anthropic/claude-opus-4-1"],
  ["claude-opus-4-20250514", undefined, "anthropic/claude-opus-4-0"],
  ["claude-3-7-sonnet-latest", undefined, "anthropic/claude-3-7-sonnet-latest"],
  ["claude-3-5-haiku-20241022", undefined, "anthropic/claude-3-5-haiku-latest"],
  ["claude-3-haiku-20240307", undefined, "anthropic/claude-3-haiku"],
  ["claude-opus-5-5-20260901", undefined, "anthropic/claude-opus-5-5"],
  ["anthropic/claude-sonnet-4-6", undefined, "anthropic/claude-sonnet-4-6@2026-03-13"],
  ["claude-sonnet-4-5@20250929", "vertex", "google/claude-sonnet-4-5"],
  ["us.anthropic.claude-sonnet-4-6-v1:0", "bedrock", "aws/regional.anthropic.claude-sonnet-4-6-v1:0"],
  ["global.anthropic.claude-sonnet-4-6-v1:0", "aws", "aws/global.anthropic.claude-sonnet-4-6-v1:0"],
  ["anthropic.claude-3-haiku-20240307-v1:0", "aws", "aws/regional.anthropic.claude-3-haiku-20240307-v1:0"],
  [
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6-v1:0",
    "aws",
    "aws/regional.anthropic.claude-sonnet-4-6-v1:0"
  ],
  ["meta.llama3-3-70b-instruct-v1:0", "aws", "aws/meta.llama3-3-70b-instruct-v1:0"],
  ["us.meta.llama3-1-8b-instruct-v1:0", "aws", "aws/meta.llama3-1-8b-instruct-v1:0"],
  ["gemini-2.5-pro", undefined, "google/gemini-2.5-pro"],
  ["gemini-2.5-pro-preview-05-06", undefined, "google/gemini-2.5-pro"],
  ["models/gemini-2.5-pro", undefined, "google/gemini-2.5-pro"],
  [
    "projects/acme/locations/europe-west4/publishers/google/models/gemini-2.5-flash",
    "google",
    "google/gemini-2.5-flash"
  ],
  ["gemini-2.5-flash", undefined, "google/gemini-2.5-flash"],
  ["gemini-2.5-flash-lite", undefined, "google/gemini-2.5-flash-lite"],
  ["gemini-2.0-flash", undefined, "google/gemini-2.0-flash"],
  ["gemini-2.0-flash-001", undefined, "google/gemini-2.0-flash"],
  ["gemini-2.0-flash-lite", undefined, "google/gemini-2.0-flash-lite"],
  ["gemini-1.5-pro-002", undefined, "google/gemini-1.5-pro"],
  ["gemini-1.5-flash", undefined, "google/gemini-1.5-flash"],
  ["mistral-large-latest", undefined, "mistral/mistral-large"],
  ["mistral-large-2411", undefined, "mistral/mistral-large"],
  ["mistral-large-2512", undefined, "mistral/mistral-large-2512"],
  ["mistral-small-latest", undefined, "mistral/mistral-small-latest"],
  ["codestral-latest", undefined, "mistral/codestral"],
  ["codestral-2508", undefined, "mistral/codestral-2508"],
  ["llama-3.3-70b-versatile", "groq", "groq/llama-3.3-70b-versatile"],
  ["groq/llama-3.3-70b-versatile", undefined, "groq/llama-3.3-70b-versatile"],
  ["llama-3.1-8b-instant", "groq", "groq/llama-3.1-8b-instant"],
  ["llama-3.3-70b", "cerebras", "cerebras/llama-3.3-70b"],
  ["meta-llama/Llama-3.3-70B-Instruct-Turbo", "together", "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"],
  ["meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo", "togetherai", "together/meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"],
  ["accounts/fireworks/models/llama-v3p1-8b-instruct", undefined, "fireworks/llama-v3p1-8b-instruct"],
  ["grok-4.5", "xai", "x-ai/grok-4.5"]
]

const words = [
  "evil",
  "fast",
  "turbo",
  "mini2",
  "x",
  "nano-plus",
  "2024",
  "latest2",
  "high",
  "instruct",
  "free",
  "beta"
]

/** Everything here looks like a priced model and is none. */
const unknown: ReadonlyArray<readonly [string, string?]> = [
  ...["gpt-4o", "gpt-4o-2024-05-13", "claude-sonnet-4-6", "gemini-2.5-flash", "mistral-large", "o3"].flatMap((id) =>
    words.map((word) => [`${id}-${word}`] as const).filter(([made]) => made !== "o3-mini2")
  ),
  ...["foo", "evil", "0", "1", "i", "mini", ".5", "_x", "/x", "+", "%2dmini", "-", "--2024-05-13", ":", "@"].map(
    (tail) => [`gpt-4o${tail}`] as const
  ),
  ["GPT-4o"],
  ["Gpt-4O"],
  ["gpt-4O"],
  ["CLAUDE-SONNET-4-6"],
  ["Gemini-2.5-Pro"],
  ["gpt-4o "],
  [" gpt-4o"],
  ["gpt-4o\n"],
  ["gpt-4o\u0000"],
  ["gpt-4o\u200b"],
  ["gpt\u20114o"],
  ["gpt\u2010" + "4o"],
  ["gpt-4\u043e"],
  ["\u0261pt-4o"],
  ["gpt-\uff14o"],
  ["gpt-4o\u0301"],
  ["\u202egpt-4o"],
  ["gpt-\u0664o"],
  ["ｇｐｔ-4o"],
  ["\ud800gpt-4o"],
  [""],
  ["-"],
  ["gpt"],
  ["gpt-"],
  ["gpt-4o".repeat(50)],
  ["a".repeat(257)],
  ["gpt-4o-2024-13-01"],
  ["gpt-4o-2024-00-10"],
  ["gpt-4o-2024-05-32"],
  ["gpt-4o-20240532"],
  ["gpt-4o-2024-5-13"],
  ["gpt-4o-24-05-13"],
  ["gpt-4o-1999-05-13"],
  ["gpt-4o-2024-05-13-2024-08-06"],
  ["gpt-4o-2024-05-13-evil"],
  ["evil-gpt-4o"],
  ["evil/gpt-4o"],
  ["xgpt-4o"],
  ["my-gemini-2.5-pro"],
  ["evil.gemini-1.5-pro"],
  ["models/models/gemini-2.5-pro"],
  ["gpt-4o", "nobody"],
  ["gpt-4o", "OpenAI"],
  ["gpt-4o", "openai2"],
  ["gpt-4o", "anthropic"],
  ["claude-sonnet-4-6", "openai"],
  ["gemini-2.5-pro", "anthropic"],
  ["gpt-4o", ""],
  ["gpt-4o", "__proto__"],
  ["gpt-9-ultra"],
  ["gpt-4ofoo"],
  ["my-finetune"],
  ["claude-sonet-4-6"],
  ["claude-sonnet-4-7"],
  ["claude-sonnet-5-5"],
  ["claude-opus-4-8-fast"],
  ["claude-sonnet"],
  ["claude"],
  ["claude-sonnet-4-6-v1:0:evil"],
  ["gemini-2.5-pro-tts-evil"],
  ["gemini-1.5-flash-8b"],
  ["deepseek-r1-distill-qwen-7b"],
  ["llama-3.3-70b"],
  ["llama-3.3-70b-versatile"],
  ["meta-llama/Llama-3.3-70B-Instruct-Turbo"],
  ["meta-llama/llama-3.3-70b-instruct-turbo", "together"],
  ["gpt-4o", "github-copilot"],
  ["gpt-4o-mini", "github-copilot"],
  ["whisper-1"],
  ["omni-moderation-latest"],
  ["ft:gpt-4o-2024-08-06:acme::id:more:even-more"],
  ["ft:gpt-9:acme::id"],
  ["ft:gpt-4o-2024-08-06:a b"],
  ["__proto__"],
  ["constructor"],
  ["toString"],
  ["openai/"],
  ["/gpt-4o"],
  ["openai/openai/gpt-4o-evil"],
  ["us.us.anthropic.claude-sonnet-4-6-v1:0", "aws"],
  ["anthropic.claude-sonnet-4-6-evil", "aws"]
]

describe("The price book's names (U-08)", () => {
  test("the table has at least 200 ids", () => {
    expect(known.length + unknown.length).toBeGreaterThanOrEqual(200)
  })

  test.each(known)("CST-09, CST-10: %s of %s is priced by %s", (id, provider, entry) => {
    expect(entryOf(id, provider)).toBe(entry)
  })

  test("DEC-08, U-08: what only looks like a priced model is unknown", () => {
    expect(
      unknown
        .map(([id, provider]) => [id, provider, entryOf(id, provider)])
        .filter(([, , entry]) => entry !== undefined)
    ).toEqual([])
  })

  test("U-08: an id that is made to be slow to read is refused, a hundred times well within the test's time limit", () => {
    const hostile = [
      `gpt-4o${"-2024-05-13".repeat(22)}`,
      `claude-sonnet-4-6${"-001".repeat(59)}x`,
      "-".repeat(256),
      `ft:gpt-4o-2024-08-06${":a".repeat(110)}!`
    ]
    for (let round = 0; round < 100; round++) for (const id of hostile) expect(entryOf(id)).toBeUndefined()
  })

  test("DEC-08: a price holds from midnight UTC of its first day, the one before until then", () => {
    const entryAt = (at: number) => Option.getOrThrow(findPrice(book, "claude-sonnet-4-6", undefined, at)).entry
    const midnight = Date.UTC(2026, 2, 13)
    expect(entryAt(midnight - 1)).toBe("anthropic/claude-sonnet-4-6")
    expect(entryAt(midnight)).toBe("anthropic/claude-sonnet-4-6@2026-03-13")
    expect(entryAt(0)).toBe("anthropic/claude-sonnet-4-6")
  })

  test("BEY-08: a price of certain hours holds from their first to their last millisecond", () => {
    const entryAt = (time: number) =>
      Option.getOrThrow(findPrice(book, "deepseek-reasoner", undefined, Date.UTC(2026, 8, 23) + time)).entry
    const minute = 60_000
    expect(entryAt(30 * minute - 1)).toBe("deepseek/deepseek-reasoner")
    expect(entryAt(30 * minute)).toBe("deepseek/deepseek-reasoner@00:30/16:30")
    expect(entryAt(990 * minute - 1)).toBe("deepseek/deepseek-reasoner@00:30/16:30")
    expect(entryAt(990 * minute)).toBe("deepseek/deepseek-reasoner")
  })
})
