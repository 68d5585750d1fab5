import type { Spread } from "./Rounds.ts"

/** What is wanted of a ratio, or of a figure where there is nothing to divide by. */
export type Goal = { readonly atLeast: number } | { readonly atMost: number } | { readonly below: number }

/** One line of the table. */
export interface Row {
  readonly id: string
  readonly what: string
  /** What it is divided by, in one sentence. */
  readonly against: string
  readonly goal: Goal | null
  readonly measured: Spread
  /** Stands behind the measured value: `x` for a ratio. */
  readonly unit: string
  /** Absolute medians, for a feeling of size; they say nothing about another machine. */
  readonly figures: string
}

/** How much work each benchmark does. */
export interface Size {
  readonly rounds: number
  /** Fewer calls a round: shows that everything runs, says little. */
  readonly quick: boolean
  /** Also with 10^6 rows. */
  readonly full: boolean
}

export const isReached = ({ goal, measured: { median } }: Row): boolean | null => {
  if (goal === null) return null
  if ("atLeast" in goal) return median >= goal.atLeast
  return "atMost" in goal ? median <= goal.atMost : median < goal.below
}

export const goalText = ({ goal, unit }: Row): string => {
  if (goal === null) return ""
  if ("atLeast" in goal) return `≥ ${goal.atLeast}${unit}`
  return "atMost" in goal ? `≤ ${goal.atMost}${unit}` : `< ${goal.below}${unit}`
}

/** Two or three significant digits, thousands as k. */
export const number = (value: number): string => {
  if (!Number.isFinite(value)) return String(value)
  if (Math.abs(value) >= 10_000) return `${(value / 1000).toFixed(1)} k`
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return Math.abs(value) >= 10 ? value.toFixed(1) : String(Number(value.toFixed(2)))
}

export const perSecond = (milliseconds: number): string => `${number(1000 / milliseconds)}/s`
export const ms = (milliseconds: number): string => `${milliseconds.toFixed(2)} ms`
export const us = (milliseconds: number): string => `${(milliseconds * 1000).toFixed(2)} µs`
