/** I7: no secret leaves. Looks for planted values in captured bytes, in every form in which a value usually travels. */
import { Base64, Hex } from "effect/encoding"
import type { Violation } from "./Checkers.ts"

/** What left the process, or what a table holds: a log, a request body, a dump. */
export interface Capture {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Canaries are at least 8 bytes long, or chance would find them. `name` is what a report may print. */
export const leaks = (
  captures: ReadonlyArray<Capture>,
  canaries: Readonly<Record<string, string>>
): ReadonlyArray<Violation> =>
  captures.flatMap(({ bytes, name }) => {
    const text = latin1(bytes)
    const folded = text.toLowerCase()
    return Object.entries(canaries).flatMap(([canary, value]) => {
      if (utf8.encode(value).length < 8)
        return [{ invariant: "I7" as const, what: `canary ${canary} is too short to look for` }]
      const form = formsOf(value).find(({ anyCase, needle }) =>
        anyCase ? folded.includes(needle.toLowerCase()) : text.includes(needle)
      )
      return form === undefined
        ? []
        : [{ invariant: "I7" as const, what: `${name} contains canary ${canary} as ${form.name}` }]
    })
  })

interface Form {
  readonly name: string
  readonly needle: string
  readonly anyCase?: boolean
}

const utf8 = new TextEncoder()

/** One character a byte, so that text search is byte search. */
const latin1 = (bytes: Uint8Array): string => {
  let text = ""
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return text
}

const formsOf = (value: string): ReadonlyArray<Form> => {
  const bytes = utf8.encode(value)
  const utf16 = Array.from(value, (character) => character.charCodeAt(0))
  return [
    { name: "plain text", needle: latin1(bytes) },
    { name: "JSON text", needle: latin1(utf8.encode(JSON.stringify(value).slice(1, -1))) },
    {
      name: "escaped JSON text",
      needle: latin1(utf8.encode(JSON.stringify(JSON.stringify(value).slice(1, -1)).slice(1, -1)))
    },
    { name: "URL text", needle: encodeURIComponent(value), anyCase: true },
    { name: "URL text", needle: encodeURIComponent(value).replaceAll("%20", "+"), anyCase: true },
    { name: "hexadecimal", needle: Hex.encode(bytes), anyCase: true },
    { name: "UTF-16", needle: utf16.map((unit) => String.fromCharCode(unit & 0xff, unit >> 8)).join("") },
    { name: "UTF-16", needle: utf16.map((unit) => String.fromCharCode(unit >> 8, unit & 0xff)).join("") },
    ...[0, 1, 2].flatMap((offset) => base64At(bytes, offset))
  ]
}

/** Base64 of the value somewhere inside a longer text: only the characters that its own bytes decide. */
const base64At = (bytes: Uint8Array, offset: number): ReadonlyArray<Form> => {
  const padded = new Uint8Array(offset + bytes.length)
  padded.set(bytes, offset)
  const first = [0, 2, 3][offset]!
  const last = Math.floor((padded.length * 8) / 6)
  const needle = Base64.encode(padded).slice(first, last)
  return [
    { name: "Base64", needle },
    { name: "Base64Url", needle: needle.replaceAll("+", "-").replaceAll("/", "_") }
  ]
}
