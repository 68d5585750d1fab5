import { Effect } from "effect"

/** What one contender costs in each round, in one unit (milliseconds, microseconds an event); lower is better. */
export type Costs<Name extends string> = Readonly<Record<Name, ReadonlyArray<number>>>

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/**
 * Runs every contender once a round, so that all of them see the same machine, and begins each round with another one. The
 * first round warms up and does not count.
 */
export const interleaved = Effect.fnUntraced(function* <Name extends string>(
  rounds: number,
  contenders: Record<Name, Effect.Effect<number, unknown>>
) {
  const names = Object.keys(contenders).filter((name): name is Name => name in contenders)
  // Object.fromEntries forgets the names.
  const costs = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Array<number>>
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length]!
      const cost = yield* contenders[name]
      if (round > 0) costs[name].push(cost)
    }
  }
  const found: Costs<Name> = costs
  return found
})

/** Round by round, then the median of those ratios: a round that the machine disturbed is one value among many. */
export const ratios = (of: ReadonlyArray<number>, to: ReadonlyArray<number>): Spread =>
  spread(of.map((cost, round) => cost / (to[round] ?? Number.NaN)))

export const spread = (values: ReadonlyArray<number>): Spread => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values)
})

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Milliseconds that an effect takes. */
export const timed = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(self, () => performance.now() - start)
  })

/** The median time of one of `count` runs, one after the other. Milliseconds. */
export const p50 = <A, E, R>(count: number, self: (n: number) => Effect.Effect<A, E, R>) =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: count }, (_, n) => n),
      (n) => timed(self(n))
    ),
    median
  )

/** Milliseconds for each of `callers * each` runs when that many callers run theirs one after the other, all at once. */
export const perOperation = <A, E, R>(
  callers: number,
  each: number,
  self: (caller: number, n: number) => Effect.Effect<A, E, R>
) =>
  Effect.map(
    timed(
      Effect.forEach(
        Array.from({ length: callers }, (_, caller) => caller),
        Effect.fnUntraced(function* (caller) {
          for (let n = 0; n < each; n++) yield* self(caller, n)
        }),
        { concurrency: "unbounded", discard: true }
      )
    ),
    (ms) => ms / (callers * each)
  )
