/**
 * Text from data made safe for a terminal (L-07, T-13): control characters, escape sequences, bidi controls, zero-width and
 * other invisible characters are written as `\n`, `\u001b` or `\u{e0041}`, and what is longer than `max` characters is
 * clipped with a note that says how much is missing. Linear in `max`, not in the text.
 */
export const terminalText = (text: string, max: number = 2000): string => {
  if (text.length <= max && plain.test(text)) return text
  let out = ""
  let taken = 0
  let marks = 0
  let units = 0
  for (const char of text) {
    if (taken >= max) return `${out}… (+${text.length - units} characters)`
    taken++
    units += char.length
    // A few marks make a letter; a pile of them paints over the lines above.
    marks = isMark.test(char) ? marks + 1 : 0
    out += marks > maxMarks || invisible.test(char) ? escaped(char) : char
  }
  return out
}

/** JSON as one line that says the same to a parser and nothing to a terminal: also C1, bidi and zero-width are `\u` escapes. */
export const terminalJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, bigintAsText, indent).replace(invisibleButBreaks, unitEscapes)

/** Whole numbers beyond 2^53 have no JSON number that every reader keeps. */
const bigintAsText = (_: string, value: unknown) => (typeof value === "bigint" ? value.toString() : value)

const maxMarks = 4
const plain = /^[\u0020-\u007e]*$/
const isMark = /^\p{M}$/u

/** Controls, format characters, separators of lines, lone surrogates, private and unassigned code points, and what no font draws. */
const invisible = /^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}]$/u
const invisibleButBreaks = /[\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\u007f-\u009f]/gu

const short: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escaped = (char: string): string => {
  const point = char.codePointAt(0) ?? 0
  return short[char] ?? (point > 0xffff ? `\\u{${point.toString(16)}}` : unitEscapes(char))
}

const unitEscapes = (char: string): string =>
  Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`).join("")
