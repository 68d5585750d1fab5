import { Result } from "effect"
import { Base64, Base64Url, Hex } from "effect/encoding"
import type { Piece } from "./SecretShapes.ts"

/**
 * Long runs of base64 or hex, random words, and shorter runs that hold something secret once decoded: `isSecret` is asked
 * about what they decode to (OTL-02, CNB-27). Hashes of 32 hex digits and more are runs like any other.
 */
export const secretRuns = (text: string, isSecret: (decoded: string) => boolean): ReadonlyArray<Piece> => {
  const found: Array<Piece> = []
  for (const match of text.matchAll(run)) {
    const [word] = match
    const start = match.index
    // What a run is made of may be joined to a name by `/`, `_` or `-`; UUIDs are names.
    if (isRandom(word.replace(uuids, "")) || holdsSecret(word, isSecret)) {
      found.push({ start, end: word.length < lineLength ? start + word.length : endOfLines(text, start + word.length) })
    }
  }
  return found
}

const run = /[A-Za-z0-9+/_-]{12,}={0,2}/g
const uuids = /(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])/g
/** Names that model providers give to calls, replies and files: they say where, and open nothing. */
const publicNames =
  /^(?:call|chatcmpl|cmpl|msg|req|toolu|srvtoolu|resp|run|thread|asst|file|batch|fc|rs|step|evt|gen|modelcompl)[_-][A-Za-z0-9_-]{1,64}$/

const isRandom = (word: string): boolean => {
  const text = word.replace(/=+$/, "")
  if (text.length < 24 || publicNames.test(text)) return false
  if (hexRun.test(text)) return true
  const { changes, classes, pairs } = shapeOf(text)
  const share = pairs === 0 ? 0 : changes / pairs
  if (text.length >= 40 && classes >= 2 && share >= 0.22 && /\d/.test(text) && /[A-Za-z]/.test(text)) return true
  return classes === 3 && share >= (text.length >= 32 ? 0.28 : 0.34) && new Set(text).size >= 12
}

/** 32 hex digits in a row, letters and digits among them. */
const hexRun = /(?<![0-9A-Za-z])(?=[0-9]{0,40}[A-Fa-f])(?=[A-Fa-f]{0,40}[0-9])[0-9A-Fa-f]{32,}(?![0-9A-Za-z])/

/** How often neighbours are of another class: random text changes all the time, words and paths hardly do. */
const shapeOf = (text: string) => {
  let changes = 0
  let pairs = 0
  let seen = 0
  let before = 0
  for (let i = 0; i < text.length; i++) {
    const now = classOf(text.charCodeAt(i))
    seen |= now
    if (before !== 0 && now !== 0) {
      pairs++
      // A capital begins a word: that is no change of kind.
      if (now !== before && !(before === upper && now === lower)) changes++
    }
    before = now
  }
  return { changes, pairs, classes: (seen & lower ? 1 : 0) + (seen & upper ? 1 : 0) + (seen & digit ? 1 : 0) }
}

const lower = 1
const upper = 2
const digit = 4
const classOf = (code: number) =>
  code >= 97 && code <= 122 ? lower : code >= 65 && code <= 90 ? upper : code >= 48 && code <= 57 ? digit : 0

const holdsSecret = (word: string, isSecret: (decoded: string) => boolean): boolean => {
  if (word.length > longestDecoded) return false
  const bare = word.replace(/=+$/, "")
  return [hexOf(bare), base64Of(bare)].some((bytes) => {
    if (bytes === null) return false
    const text = latin1.decode(bytes)
    return isReadable(text) && isSecret(text)
  })
}

/** What is longer and holds anything is random to `isRandom`, or no encoding. */
const longestDecoded = 8_192
const latin1 = new TextDecoder("latin1")

const hexOf = (text: string): Uint8Array | null =>
  text.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(text) ? Result.getOrNull(Hex.decode(text.toLowerCase())) : null

const base64Of = (text: string): Uint8Array | null => {
  const whole = text.length % 4 === 1 ? text.slice(0, -1) : text
  return Result.getOrNull(
    /[_-]/.test(whole) ? Base64Url.decode(whole) : Base64.decode(whole.padEnd(Math.ceil(whole.length / 4) * 4, "="))
  )
}

/** Text of ASCII, in bytes or in UTF-16: what is not was no encoding of text. */
const isReadable = (text: string): boolean => {
  let odd = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code !== 0 && code !== 9 && code !== 10 && code !== 13 && (code < 32 || code > 126)) odd++
  }
  return odd * 10 <= text.length
}

/** Base64 that is broken into lines ends where a line is no base64. */
const lineLength = 60
const nextLine = /\r?\n[A-Za-z0-9+/]{1,128}={0,2}(?=\s|["'\\]|$)/y
const endOfLines = (text: string, from: number): number => {
  let end = from
  nextLine.lastIndex = end
  while (nextLine.test(text)) {
    end = nextLine.lastIndex
    nextLine.lastIndex = end
  }
  return end
}
