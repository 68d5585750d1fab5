import { Effect, Result, Schema, SchemaIssue, SchemaTransformation } from "effect"

const maxInt8 = 2n ** 63n - 1n

/** Billionths of a US dollar. Integers only: a budget must never drift by rounding (DEC-07). */
export const NanoUsd = Schema.BigInt.check(
  Schema.makeFilter((value: bigint) => (value >= 0n && value <= maxInt8) || "must be 0 to 2^63-1 nano-USD")
).pipe(Schema.brand("NanoUsd"))
export type NanoUsd = typeof NanoUsd.Type

/** Trillionths of a US dollar for one token. */
export const PicoUsdPerToken = Schema.BigInt.check(
  Schema.makeFilter((value: bigint) => (value >= 0n && value <= maxInt8) || "must be 0 to 2^63-1 pico-USD")
).pipe(Schema.brand("PicoUsdPerToken"))
export type PicoUsdPerToken = typeof PicoUsdPerToken.Type

export const zeroUsd = NanoUsd.make(0n)
/** The largest amount that Postgres can store: $9,223,372,036.854775807. */
export const maxUsd = NanoUsd.make(maxInt8)

/** An amount that is no exact number of nano-dollars from 0 up, or a count of tokens that is no whole number from 0 up. */
export class InvalidMoney extends Schema.TaggedError<InvalidMoney>()("InvalidMoney", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
  get recoveryHint() {
    return 'Write dollars as decimal text with at most 9 places, such as "0.50", and tokens as whole numbers.'
  }
}

/** Exact: "$0.0075", "$1.00", "$12.345678901". At least cents, no trailing zeros beyond them. */
export const formatUsd = (amount: NanoUsd): string => {
  const digits = amount.toString().padStart(10, "0")
  const fraction = digits.slice(-9).replace(/0+$/, "").padEnd(2, "0")
  return `$${digits.slice(0, -9)}.${fraction}`
}

/**
 * Dollars to nano-dollars, exactly. A JS number counts by its shortest decimal form and may not need more than 9 places;
 * text is plain decimal digits, without sign, exponent or spaces (U-05, U-06).
 */
export const parseUsd = (value: string | number): Result.Result<NanoUsd, InvalidMoney> => {
  const match = decimal.exec(typeof value === "number" ? decimalOf(value) : value)
  if (match === null) {
    return Result.fail(
      new InvalidMoney({ problem: "must be an amount in dollars, 0 or more, with at most 9 decimal places" })
    )
  }
  const nano = BigInt(match[1]!) * 1_000_000_000n + BigInt((match[2] ?? "").padEnd(9, "0"))
  return nano > maxInt8
    ? Result.fail(new InvalidMoney({ problem: "is more than 9,223,372,036 dollars" }))
    : Result.succeed(NanoUsd.make(nano))
}

/** The sum, held at the largest amount: that exceeds every cap, so an overflow can only refuse (U-14). */
export const addNano = (a: NanoUsd, b: NanoUsd): NanoUsd => clamp(a + b)

/** Pico-dollars, 0 or more, to nano-dollars, rounded up once per call. */
export const nanoFromPico = (pico: bigint): NanoUsd => clamp((pico + 999n) / 1000n)

/** What tokens of one class cost when they are all that a call is charged for. */
export const chargeFor = (tokens: bigint | number, price: PicoUsdPerToken): Result.Result<NanoUsd, InvalidMoney> =>
  chargeForAll([[tokens, price]])

/** What a call costs: classes of tokens with their prices, summed in pico-dollars and rounded up once (DEC-07). */
export const chargeForAll = (
  classes: Iterable<readonly [tokens: bigint | number, price: PicoUsdPerToken]>
): Result.Result<NanoUsd, InvalidMoney> => {
  let pico = 0n
  for (const [tokens, price] of classes) {
    if (tokens < 0 || (typeof tokens === "number" && !Number.isSafeInteger(tokens))) {
      return Result.fail(new InvalidMoney({ problem: "must be a whole number of tokens, 0 or more" }))
    }
    pico += BigInt(tokens) * price
  }
  return Result.succeed(nanoFromPico(pico))
}

/** Dollars in a policy: `0.5` or `"0.50"`. Written back as decimal text. */
export const UsdAmount = Schema.Union([Schema.String, Schema.Finite]).pipe(
  Schema.decodeTo(
    NanoUsd,
    SchemaTransformation.transformEffect({
      decode: (value: string | number) =>
        Result.match(parseUsd(value), {
          onFailure: (error) => Effect.fail(new SchemaIssue.InvalidValue({ message: error.problem })),
          onSuccess: (amount) => Effect.succeed<bigint>(amount)
        }),
      encode: (amount: bigint) => Effect.succeed<string | number>(formatUsd(NanoUsd.make(amount)).slice(1))
    })
  )
)

const decimal = /^(\d{1,10})(?:\.(\d{1,9}))?$/

// The shortest form of a small number has an exponent: 1e-7 is "0.0000001". -0 is the result of a wrong sign somewhere.
const decimalOf = (value: number): string => {
  if (Object.is(value, -0)) return "-0"
  const small = /^(\d)(?:\.(\d+))?e-(\d+)$/.exec(String(value))
  return small === null ? String(value) : `0.${"0".repeat(Number(small[3]) - 1)}${small[1]}${small[2] ?? ""}`
}

const clamp = (nano: bigint): NanoUsd => (nano > maxInt8 ? maxUsd : NanoUsd.make(nano))
