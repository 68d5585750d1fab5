import { Arbitrary, Schema } from "effect"
import type { JsonValue } from "../../src/schema/Json.ts"
import { naughtyStrings } from "./Vectors.ts"

/** Deterministic, so that a failing case can be run again by its seed. */
export const random = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const naughty = naughtyStrings()

const anyText = (next: () => number): string => {
  const kind = next()
  if (kind < 0.3) return naughty[Math.floor(next() * naughty.length)]!
  const length = Math.floor(next() * 8)
  let text = kind < 0.4 ? "$" : ""
  for (let i = 0; i < length; i++) {
    const unit = next()
    text += String.fromCharCode(
      Math.floor(
        unit < 0.5 ? 32 + next() * 96 : unit < 0.6 ? next() * 32 : unit < 0.75 ? 0xd800 + next() * 2048 : next() * 65536
      )
    )
  }
  return text
}

const anyNumber = (next: () => number): number => {
  const kind = next()
  if (kind < 0.4) return Math.floor(next() * 2000) - 1000
  if (kind < 0.6) return Math.floor((next() - 0.5) * 2 ** 53)
  const value = (next() - 0.5) * 10 ** Math.floor(next() * 40 - 30)
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? 0.5 : value === 0 ? 0 : value
}

export const anyJson = (next: () => number, depth = 4): JsonValue => {
  const kind = next()
  if (depth === 0 || kind < 0.5) {
    const leaf = next()
    if (leaf < 0.1) return null
    if (leaf < 0.2) return next() < 0.5
    return leaf < 0.5 ? anyNumber(next) : anyText(next)
  }
  const size = Math.floor(next() * 5)
  if (kind < 0.7) return Array.from({ length: size }, () => anyJson(next, depth - 1))
  return Object.fromEntries(Array.from({ length: size }, () => [anyText(next), anyJson(next, depth - 1)]))
}

/** Property tests over it shrink towards small seeds only, which is enough: the seed is the case. */
export const Seed = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 })))
