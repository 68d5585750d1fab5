import { BigInt as BigInt_, Result, Schema } from "effect"
import type { Usage } from "./Call.ts"
import { InvalidInput } from "./InvalidInput.ts"
import { NanoUsd, nanoFromPico } from "./Money.ts"
import type { Price, Tier } from "./PriceBook.ts"

/** The price book has no entry for the model, so nothing was spent on it (ERR-05, CST-07). */
export class UnknownModelError extends Schema.TaggedError<UnknownModelError>()(
  "UnknownModelError",
  {
    model: Schema.String,
    provider: Schema.NullOr(Schema.String)
  },
  { httpApiStatus: 422 }
) {
  override get message() {
    const by = this.provider === null ? "" : ` of provider ${shown(this.provider)}`
    return `No price is known for model ${shown(this.model)}${by}`
  }
  get recoveryHint() {
    return (
      "Add a price entry for it (an open model also needs its provider, such as groq/llama-3.3-70b-versatile); " +
      "or set costStrictUnknownModels: false together with costUnknownModelFallbackUsdPerMillion; " +
      "or record the dollars yourself with cost.track."
    )
  }
}

/** What a call cost, and by which entry of which edition of the price list (BEY-08). */
export const Charge = Schema.Struct({
  usd: NanoUsd,
  /** Input and output together. */
  tokens: Schema.BigInt,
  source: Schema.Struct({
    name: Schema.String,
    version: Schema.String,
    date: Schema.String,
    /** `anthropic/claude-sonnet-4-6@2026-03-13`. */
    entry: Schema.String
  }),
  /** The fallback rate was used, or the model is also sold by units that `Usage` does not count. */
  estimated: Schema.Boolean
})
export type Charge = typeof Charge.Type

/** Nano-USD for one call's usage: exact in pico-USD, then rounded up once (DEC-07). */
export const charge = (price: Price, usage: Omit<Usage, "model">): Result.Result<NanoUsd, InvalidInput> =>
  Result.map(tokensOf(usage), (tokens) => {
    const rates = tierAt(price, usage.inputTokens)
    return nanoFromPico(
      (tokens.input - tokens.cached - tokens.write) * rates.input +
        tokens.cached * rates.cachedInput +
        (tokens.write - tokens.write1h) * rates.cacheWrite +
        tokens.write1h * rates.cacheWrite1h +
        (tokens.output - tokens.reasoning) * rates.output +
        tokens.reasoning * rates.reasoning
    )
  })

/** What is asked before a call. */
export interface WorstCase {
  readonly inputTokens: number
  readonly maxTokens: number
  /** False when the caller knows that the request writes nothing into a cache; writes cost more than plain input. */
  readonly cacheWrites?: boolean
}

/**
 * The most that a call can cost while the provider keeps to `maxTokens` and the input is no longer than said: every token at
 * the dearest class, in the dearest tier that the input can reach.
 */
export const worstCase = (
  price: Price,
  call: WorstCase
): Result.Result<{ usd: NanoUsd; tokens: bigint }, InvalidInput> =>
  Result.map(
    Result.all([count("inputTokens", call.inputTokens), count("maxTokens", call.maxTokens)]),
    ([input, output]) => ({
      usd: nanoFromPico(
        largest(
          price.tiers
            .filter((tier, at) => at === 0 || call.inputTokens > tier.aboveInputTokens)
            .map((tier) => {
              const writes = call.cacheWrites === false ? [] : [tier.cacheWrite, tier.cacheWrite1h]
              const dearest = largest([tier.input, tier.cachedInput, ...writes])
              return input * dearest + output * largest([tier.output, tier.reasoning])
            })
        )
      ),
      tokens: input + output
    })
  )

/** True when no call can cost more by the one price than by the other: no class of tokens is dearer, in any tier. */
export const noDearer = (price: Price, than: Price): boolean =>
  [...price.tiers, ...than.tiers].every(({ aboveInputTokens }, at) => {
    const inputTokens = at === 0 ? 0 : aboveInputTokens + 1
    const [left, right] = [tierAt(price, inputTokens), tierAt(than, inputTokens)]
    return classes.every((one) => left[one] <= right[one])
  })
const classes = ["input", "output", "cachedInput", "cacheWrite", "cacheWrite1h", "reasoning"] as const

/**
 * A rough number of tokens in a text, for callers without a tokenizer: a third of a token for each letter or space, half a
 * token for every other byte of its UTF-8 form, and eight for the message around it. An estimate on the high side for prose,
 * code and JSON; text made to be expensive (random letters) can have more.
 */
export const estimateInputTokens = (text: string): number => {
  let sixths = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 0x80) sixths += code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 6 : 9
    else sixths += code === 0x20 || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) ? 2 : 3
  }
  return Math.ceil(sixths / 6) + 8
}

const tierAt = (price: Price, inputTokens: number): Tier =>
  price.tiers.findLast((tier, at) => at === 0 || inputTokens > tier.aboveInputTokens) ?? price.tiers[0]!

const largest = (values: ReadonlyArray<bigint>): bigint => values.reduce(BigInt_.max, 0n)

const count = (field: string, value: number): Result.Result<bigint, InvalidInput> =>
  Number.isSafeInteger(value) && value >= 0
    ? Result.succeed(BigInt(value))
    : Result.fail(new InvalidInput({ field, problem: "must be a whole number of tokens from 0 to 2^53-1" }))

const part = (field: string, value: number | undefined) =>
  value === undefined ? Result.succeed(0n) : count(field, value)

/** The classes of a usage, each part no larger than its whole. */
export const tokensOf = (usage: Omit<Usage, "model">) =>
  Result.flatMap(
    Result.all({
      input: count("usage.inputTokens", usage.inputTokens),
      output: count("usage.outputTokens", usage.outputTokens),
      cached: part("usage.cachedInputTokens", usage.cachedInputTokens),
      write: part("usage.cacheWriteTokens", usage.cacheWriteTokens),
      write1h: part("usage.cacheWrite1hTokens", usage.cacheWrite1hTokens),
      reasoning: part("usage.reasoningTokens", usage.reasoningTokens)
    }),
    (tokens) => {
      const wrong = (field: string, whole: string) =>
        Result.fail(new InvalidInput({ field: `usage.${field}`, problem: `is part of ${whole} and cannot exceed it` }))
      if (tokens.cached + tokens.write > tokens.input)
        return wrong("cachedInputTokens + cacheWriteTokens", "inputTokens")
      if (tokens.write1h > tokens.write) return wrong("cacheWrite1hTokens", "cacheWriteTokens")
      if (tokens.reasoning > tokens.output) return wrong("reasoningTokens", "outputTokens")
      return Result.succeed(tokens)
    }
  )

/** Names come from outside: what is no plain ASCII is shown as an escape, and only its beginning. */
const shown = (name: string): string =>
  JSON.stringify(name.slice(0, 120)).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
