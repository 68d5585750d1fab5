import { decodeText } from "./DecodedText.ts"
import { foldText } from "./FoldedText.ts"
import { secretFields } from "./SecretFields.ts"
import { type KeyVerdict, makeKeyJudge } from "./SecretKeys.ts"
import { secretRuns } from "./SecretRuns.ts"
import { type Piece, secretShapes } from "./SecretShapes.ts"
import { urlSecrets } from "./UrlSecrets.ts"

/** Makes values safe to leave the process: what is secret by its name or by its look is replaced (OTL-02, CNB-26, C-17). */
export interface Redactor {
  /**
   * A deep copy of anything as plain JSON without its secrets. Members whose name is that of a secret are replaced whole, every
   * other text and name is searched. What is too deep, too much or no JSON is replaced too, never passed through.
   */
  readonly json: (value: unknown) => Safe
  /** A text without its secrets. Linear in the text; of more than 256 Ki characters the rest is cut off. */
  readonly text: (text: string) => string
}

export interface RedactionOptions {
  /** More names whose values are secret, in any spelling (CFG-25). */
  readonly extraKeys?: Iterable<string> | undefined
}

export type Safe = null | boolean | number | string | ReadonlyArray<Safe> | { readonly [key: string]: Safe }

/** What stands where something was taken out. */
export const redacted = "[redacted]"
export const redactionLimits = { depth: 64, values: 20_000, textLength: 262_144 } as const

export const make = (options: RedactionOptions = {}): Redactor => {
  const verdictOf = makeKeyJudge(options.extraKeys)

  const text = (given: string): string => {
    const whole = given.length <= redactionLimits.textLength
    const looked = whole ? given : given.slice(0, redactionLimits.textLength)
    const safe = looked.length < shortest ? looked : replaced(looked, secretsIn(looked, verdictOf, 0))
    return whole ? safe : `${safe}${tooMuch}`
  }

  const json = (given: unknown): Safe => {
    let values = 0
    let length = 0

    const textOf = (value: string): string => {
      length += value.length
      return length > redactionLimits.textLength ? tooMuch : text(value)
    }

    const arrayOf = (array: ReadonlyArray<unknown>, depth: number, force: KeyVerdict): Safe => {
      if (isBytes(array) && secretsIn(String.fromCharCode(...array), verdictOf, 1).length > 0) return redacted
      return array.slice(0, redactionLimits.values).map((value, i) => {
        const before = array[i - 1]
        return walk(value, depth + 1, force !== "none" ? force : followed(before, array.length, verdictOf))
      })
    }

    const objectOf = (object: object, depth: number, force: KeyVerdict): Safe => {
      const members = Object.entries(object).slice(0, redactionLimits.values)
      // A pair that is written as an object, as headers often are: the name is in one member, the value in another.
      const named = members.find(([key, value]) => nameMembers.has(key.toLowerCase()) && typeof value === "string")
      const pair = named !== undefined && typeof named[1] === "string" ? verdictOf(named[1]) : "none"
      const copied = members.map(([key, value]): [string, Safe] => {
        const own = verdictOf(key)
        const verdict = own !== "none" ? own : valueMembers.has(key.toLowerCase()) && pair !== "none" ? pair : force
        return [textOf(key), walk(value, depth + 1, verdict)]
      })
      return Object.fromEntries(copied)
    }

    const walk = (value: unknown, depth: number, force: KeyVerdict): Safe => {
      if (++values > redactionLimits.values) return tooMuch
      if (value === null || value === undefined) return null
      if (typeof value === "boolean") return value
      if (force === "all" && value !== "") return redacted
      if (typeof value === "string") return force === "text" && !isCount(value) ? hidden(value) : textOf(value)
      if (typeof value === "number") return Number.isFinite(value) ? value : null
      if (typeof value === "bigint") return `${value}`
      if (typeof value !== "object") return notJson
      if (depth >= redactionLimits.depth) return tooDeep
      return Array.isArray(value)
        ? arrayOf(value, depth, force)
        : isPlain(value)
          ? objectOf(value, depth, force)
          : notJson
    }

    return walk(given, 0, "none")
  }

  return { json, text }
}

/** With no names besides the built-in ones. */
export const standard: Redactor = make()

const tooMuch = "[redacted: too much]"
const tooDeep = "[redacted: too deep]"
const notJson = "[redacted: no JSON]"
/** No secret, name and value together, is shorter. */
const shortest = 7

/** What is found in the text as it stands and as it reads once it is decoded. */
const secretsIn = (text: string, verdictOf: (key: string) => KeyVerdict, depth: number): ReadonlyArray<Piece> => {
  const look = (seen: string): ReadonlyArray<Piece> => [
    ...secretShapes(seen),
    ...secretFields(seen, verdictOf),
    ...urlSecrets(seen, (key) => verdictOf(key) !== "none"),
    ...secretRuns(seen, (decoded) => depth < maxDecoded && secretsIn(decoded, verdictOf, depth + 1).length > 0)
  ]
  const folded = foldText(text)
  const decoded = decodeText(folded)
  if (decoded === null) return look(folded)
  const { from, to } = decoded
  const back = look(decoded.text).map(({ end, start }) => ({
    start: from[start] ?? 0,
    end: to[end - 1] ?? text.length
  }))
  return [...look(folded), ...back]
}

/** Encodings inside each other. */
const maxDecoded = 2

const replaced = (text: string, pieces: ReadonlyArray<Piece>): string => {
  if (pieces.length === 0) return text
  const parts: Array<string> = []
  let at = 0
  for (const { end, start } of [...pieces].sort((a, b) => a.start - b.start)) {
    if (end <= at) continue
    if (start >= at && parts.length > 0 && start === at) parts.push("")
    else if (start >= at) parts.push(text.slice(at, start), redacted)
    at = end
  }
  return parts.join("") + text.slice(at)
}

/** What the value after this one is: the value of a flag, of a header, or the second of a pair. */
const followed = (before: unknown, length: number, verdictOf: (key: string) => KeyVerdict): KeyVerdict => {
  if (typeof before !== "string" || before.length > 64) return "none"
  const isName = before.startsWith("--") ? !before.includes("=") : length === 2 || headers.has(before.toLowerCase())
  return isName && !/\s/.test(before) ? verdictOf(before) : "none"
}

const set = (names: string): ReadonlySet<string> => new Set(names.split(" "))
const headers = set("authorization proxy-authorization cookie set-cookie x-api-key x-auth-token api-key")
const nameMembers = set("name key header field param variable")
const valueMembers = set("value values val content data default")

const hidden = (value: string) => (value === "" ? "" : redacted)
const isCount = (value: string) => /^\d{1,15}$/.test(value)

const isBytes = (array: ReadonlyArray<unknown>): array is ReadonlyArray<number> =>
  array.length >= 12 &&
  array.length <= 8_192 &&
  array.every((value) => typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 255)

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
