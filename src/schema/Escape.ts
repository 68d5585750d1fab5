import { JsonPointer } from "effect"
import type { JsonValue, MarkedJson } from "./Json.ts"
import { putMember } from "./JsonMember.ts"
import { Marked } from "./Marked.ts"

/** What stands in the log where a marked value could not be sealed (BEY-12): never the plain value. */
export const unsealable: { readonly $unsealable: true } = Object.freeze({ $unsealable: true })

/** Turns a marked value into what is stored; `pointer` is its RFC 6901 place in the stored document. */
export type SealMark = (marked: Marked<JsonValue>, pointer: string) => JsonValue

/**
 * The storable form (DEC-17). A string that Postgres refuses (NUL, lone surrogate) becomes `{"$utf16":"<hex>"}`, such a key
 * `$utf16:<hex>`, and a key that begins with `$` gets one more. Marked values go through `seal`. What needs nothing stays as
 * it is. The value MUST come from a snapshot, which bounds its depth.
 */
export function escape(value: JsonValue): JsonValue
export function escape(value: MarkedJson, seal?: SealMark): JsonValue
export function escape(value: MarkedJson, seal: SealMark = () => unsealable): JsonValue {
  return isStorable(value) ? value : escapeAt(value, seal, "")
}

/** The exact inverse of `escape`; sealed values stay in their sealed form. What `escape` never writes stays as it is. */
export const unescape = (value: JsonValue): JsonValue => unescapeAt(value, 0)

/** Bytes of canonical UTF-8 that a string takes once stored. */
export const storedTextSize = (text: string): number =>
  oneByteEach.test(text) ? text.length + 2 : isRefused(text) ? text.length * 4 + 13 : jsonSize(text)

/** The same for an object key, without its colon. */
export const storedKeySize = (key: string): number =>
  oneByteEach.test(key)
    ? key.length + (key.startsWith("$") ? 3 : 2)
    : isRefused(key)
      ? key.length * 4 + 9
      : jsonSize(key) + (key.startsWith("$") ? 1 : 0)

// Most values need nothing, and then need no copy either.
const isStorable = (value: MarkedJson): value is JsonValue => {
  if (typeof value === "string") return !isRefused(value)
  if (typeof value !== "object" || value === null) return true
  if (value instanceof Marked) return false
  if (isArray(value)) return value.every(isStorable)
  for (const key of Object.keys(value)) {
    if (key.startsWith("$") || isRefused(key) || !isStorable(value[key]!)) return false
  }
  return true
}

const escapeAt = (value: MarkedJson, seal: SealMark, pointer: string): JsonValue => {
  if (typeof value === "string") return isRefused(value) ? { $utf16: toUtf16Hex(value) } : value
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Marked) return seal(value, pointer)
  if (isArray(value)) return value.map((item, index) => escapeAt(item, seal, `${pointer}/${index}`))
  const stored: Record<string, JsonValue> = {}
  for (const key of Object.keys(value)) {
    const storedKey = escapeKey(key)
    putMember(stored, storedKey, escapeAt(value[key]!, seal, `${pointer}/${JsonPointer.escapeToken(storedKey)}`))
  }
  return stored
}

// Stored text may have been tampered with: levels deeper than any snapshot has are left alone, not walked.
const deepest = 1000

const unescapeAt = (value: JsonValue, depth: number): JsonValue => {
  if (typeof value !== "object" || value === null || depth === deepest) return value
  if (isArray(value)) return value.map((item) => unescapeAt(item, depth + 1))
  const units = value.$utf16
  if (typeof units === "string" && isUtf16Hex(units) && Object.keys(value).length === 1) return fromUtf16Hex(units)
  const plain: Record<string, JsonValue> = {}
  for (const key of Object.keys(value)) {
    const member = value[key]!
    // The inside of a sealed value is format, not data.
    putMember(plain, unescapeKey(key), key === "$sealed" ? member : unescapeAt(member, depth + 1))
  }
  return plain
}

const escapeKey = (key: string) =>
  isRefused(key) ? `$utf16:${toUtf16Hex(key)}` : key.startsWith("$") ? `$${key}` : key

/** The inverse for one key. */
export const unescapeKey = (key: string) => {
  if (!key.startsWith("$")) return key
  if (key.startsWith("$$")) return key.slice(1)
  const hex = key.slice(7)
  return key.startsWith("$utf16:") && isUtf16Hex(hex) ? fromUtf16Hex(hex) : key
}

// Narrows readonly arrays, which Array.isArray does not.
const isArray = <A>(value: A | ReadonlyArray<A> | { readonly [key: string]: A }): value is ReadonlyArray<A> =>
  Array.isArray(value)

const oneByteEach = /^[\u0020\u0021\u0023-\u005b\u005d-\u007f]*$/

const isRefused = (text: string) => !text.isWellFormed() || text.includes("\u0000")

const isUtf16Hex = (text: string) => /^(?:[0-9a-f]{4})*$/.test(text)

const toUtf16Hex = (text: string) => {
  let hex = ""
  for (let i = 0; i < text.length; i++) hex += text.charCodeAt(i).toString(16).padStart(4, "0")
  return hex
}

const fromUtf16Hex = (hex: string) => {
  let text = ""
  for (let i = 0; i < hex.length; i += 4) text += String.fromCharCode(Number.parseInt(hex.slice(i, i + 4), 16))
  return text
}

const jsonSize = (text: string) => {
  let size = 2
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20) size += unit === 8 || unit === 9 || unit === 10 || unit === 12 || unit === 13 ? 2 : 6
    else if (unit === 0x22 || unit === 0x5c) size += 2
    else if (unit < 0x80) size += 1
    // Half of a pair that takes four bytes.
    else if (unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff)) size += 2
    else size += 3
  }
  return size
}
