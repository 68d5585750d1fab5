import { JsonPointer, Option } from "effect"
import { unescape, unescapeKey } from "./Escape.ts"
import type { EventId } from "./Ids.ts"
import type { JsonValue } from "./Json.ts"
import { putMember } from "./JsonMember.ts"
import { isSealed, isUnsealable, openSealed, type SealedValue, type Unseal } from "./Sealed.ts"

/** How many marked values could be opened, and why the others could not. */
export interface SealedTally {
  readonly opened: number
  /** Their subject was erased. */
  readonly erased: number
  /** The key, or what wraps it, is not here; or the value was changed or moved. */
  readonly unreadable: number
  /** There was no key at hand when the event was written. */
  readonly unsealable: number
}

/** What is known of the key with an id: its bytes, that it was erased, or nothing. */
export type KeyLookup = (id: string) => Uint8Array | "erased" | undefined

/** Stored metadata as its author wrote it, marked values in plain where their keys exist; the others stay as stored. */
export const openMetadata = (
  stored: JsonValue,
  event: EventId,
  keyOf: KeyLookup,
  unseal: Unseal
): { readonly metadata: JsonValue; readonly tally: SealedTally } => {
  const tally = { opened: 0, erased: 0, unreadable: 0, unsealable: 0 }

  const open = (value: SealedValue, pointer: string): JsonValue => {
    const key = keyOf(value.$sealed.key)
    const plain =
      key === undefined || key === "erased" ? Option.none() : openSealed(value, { event, pointer }, key, unseal)
    if (Option.isNone(plain)) {
      tally[key === "erased" ? "erased" : "unreadable"]++
      return value
    }
    tally.opened++
    return plain.value
  }

  const walk = (value: JsonValue, pointer: string, depth: number): JsonValue => {
    if (typeof value !== "object" || value === null || depth > deepest) return value
    if (isSealed(value)) return open(value, pointer)
    if (isUnsealable(value)) {
      tally.unsealable++
      return value
    }
    if (isArray(value)) return value.map((item, index) => walk(item, `${pointer}/${index}`, depth + 1))
    const keys = Object.keys(value)
    if (keys.length === 1 && keys[0] === "$utf16") return unescape(value)
    const plain: Record<string, JsonValue> = {}
    for (const key of keys) {
      putMember(plain, unescapeKey(key), walk(value[key]!, `${pointer}/${JsonPointer.escapeToken(key)}`, depth + 1))
    }
    return plain
  }

  return { metadata: walk(stored, "", 0), tally }
}

// Stored text may have been tampered with: what is deeper than any snapshot is left alone.
const deepest = 1000

// Narrows readonly arrays, which Array.isArray does not.
const isArray = (value: object): value is ReadonlyArray<JsonValue> => Array.isArray(value)
