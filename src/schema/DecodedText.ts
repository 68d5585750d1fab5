/** A text as it reads once its escapes are undone; unit `i` of it stands for the original's `from[i]` up to `to[i]`. */
export interface DecodedText {
  readonly text: string
  readonly from: Int32Array
  readonly to: Int32Array
}

/**
 * Undoes URL, JSON, HTML and hexadecimal escapes and leaves out what cannot be seen (which makes plain text of UTF-16), some
 * rounds deep. Null where there is nothing to undo. For looking only (C-17).
 */
export const decodeText = (text: string): DecodedText | null => {
  if (text.search(escapes) < 0) return null
  let decoded: DecodedText | null = null
  for (let round = 0; round < rounds; round++) {
    const next = undo(decoded ?? { text, from: ascending(text.length, 0), to: ascending(text.length, 1) })
    if (next === null) break
    decoded = next
  }
  return decoded
}

const rounds = 3

const escapes =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is half of what UTF-16 makes of ASCII
  /%(?:25){0,3}([0-9a-fA-F]{2})|\\{1,8}(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf"'/]))|&(quot|amp|lt|gt|apos|#\d{1,6}|#x[0-9a-fA-F]{1,5});|[\u0000\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]|[\ufe00-\ufe0f]/g

const undo = ({ from, text, to }: DecodedText): DecodedText | null => {
  let at = 0
  let length = 0
  let changed = false
  const parts: Array<string> = []
  const starts = new Int32Array(text.length)
  const ends = new Int32Array(text.length)
  const keep = (upTo: number) => {
    parts.push(text.slice(at, upTo))
    starts.set(from.subarray(at, upTo), length)
    ends.set(to.subarray(at, upTo), length)
    length += upTo - at
  }
  for (const match of text.matchAll(escapes)) {
    const [whole, percent, unicode, hex, short, entity] = match
    const end = match.index + whole.length
    const code = percent ?? unicode ?? hex
    const unit =
      code !== undefined
        ? String.fromCharCode(Number.parseInt(code, 16))
        : short !== undefined
          ? (shorts.get(short) ?? short)
          : entity !== undefined
            ? entityOf(entity)
            : ""
    changed = true
    keep(match.index)
    at = end
    if (unit === "") continue
    parts.push(unit)
    starts[length] = from[match.index] ?? 0
    ends[length] = to[end - 1] ?? 0
    length++
  }
  if (!changed) return null
  keep(text.length)
  return { text: parts.join(""), from: starts.subarray(0, length), to: ends.subarray(0, length) }
}

const shorts: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["b", " "],
  ["f", " "]
])

const entityOf = (name: string): string => {
  const code = name.startsWith("#x")
    ? Number.parseInt(name.slice(2), 16)
    : name.startsWith("#")
      ? Number.parseInt(name.slice(1), 10)
      : undefined
  // One unit for one escape, or the places would no longer agree.
  return code === undefined ? (entities.get(name) ?? " ") : code > 0 && code < 0xd800 ? String.fromCharCode(code) : " "
}

const entities: ReadonlyMap<string, string> = new Map([
  ["quot", '"'],
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["apos", "'"]
])

const ascending = (length: number, first: number) => Int32Array.from({ length }, (_, i) => i + first)
