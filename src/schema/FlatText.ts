import { Result } from "effect"
import { jsonLimits } from "./Json.ts"

/**
 * The canonical text (RFC 8785) of what most metadata is: one plain object of short ASCII texts, numbers, booleans and nulls.
 * Undefined for anything else, and for anything that would be refused, dropped or escaped: the long way decides then. Where it
 * answers, it MUST answer as the long way does, from one reading of each member. A getter or a Proxy that throws is no answer.
 */
export const flatText = (value: unknown): string | undefined =>
  Result.getOrElse(
    Result.try(() => render(value)),
    () => undefined
  )

const render = (value: unknown): string | undefined => {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return undefined
  if (Object.getOwnPropertySymbols(value).length > 0) return undefined
  const members = Object.entries(value)
  if (members.length > jsonLimits.keys) return undefined
  let sorted = true
  let last = ""
  for (const [key] of members) {
    if (!plain.test(key) || key.startsWith("$")) return undefined
    if (key < last) sorted = false
    last = key
  }
  if (!sorted) members.sort(([a], [b]) => (a < b ? -1 : 1))
  let text = ""
  for (const [key, member] of members) {
    const rendered = scalar(member)
    if (rendered === undefined) return undefined
    text += text === "" ? `{"${key}":${rendered}` : `,"${key}":${rendered}`
  }
  // ASCII alone: its length is its size.
  return text.length >= jsonLimits.bytes ? undefined : text === "" ? "{}" : `${text}}`
}

const scalar = (value: unknown): string | undefined => {
  switch (typeof value) {
    case "string":
      return plain.test(value) ? `"${value}"` : undefined
    case "number":
      return isExact(value) ? `${value}` : undefined
    case "boolean":
      return value ? "true" : "false"
    default:
      return value === null ? "null" : undefined
  }
}

/** What a reader gets back as it was; -0, NaN and integers beyond 2^53 are for the long way to change or refuse. */
const isExact = (value: number) =>
  Number.isInteger(value) ? Number.isSafeInteger(value) && !Object.is(value, -0) : Number.isFinite(value)

// Printable ASCII but quote and backslash: nothing to escape.
const plain = /^[ !#-[\]-~]*$/
