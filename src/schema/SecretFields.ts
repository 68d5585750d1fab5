import type { KeyVerdict } from "./SecretKeys.ts"
import type { Piece } from "./SecretShapes.ts"

/**
 * Values that stand after a secret name in free text: `password=...`, `"api_key": "..."`, `Cookie: ...`, `--token ...`,
 * `<secret>...</secret>`, `the password is ...`. Linear: a name and what follows it are bounded (R-07).
 */
export const secretFields = (text: string, verdictOf: (key: string) => KeyVerdict): ReadonlyArray<Piece> => {
  const found: Array<Piece> = []
  let done = 0
  for (const match of text.matchAll(field)) {
    const [whole, option, named, tag, sentence] = match
    const at = match.index + whole.length
    if (at < done) continue
    const name = option ?? named ?? tag ?? sentence ?? ""
    const verdict = verdictOf(nounOf(name))
    if (verdict === "none") continue
    // Decided by the beginning, so that no long value is read again and again.
    if (unsaid.test(text.slice(at, at + 96))) continue
    const value = valueAt(text, at, sentence === undefined && toLineEnd.test(name))
    if (value === undefined) continue
    const said = text.slice(value.start, value.end)
    const loose = !value.quoted && tag === undefined && !whole.endsWith("=")
    const long = verdict === "text" || /token$/i.test(name)
    if ((sentence === undefined || odd.test(said)) && isValue(said, loose, long)) {
      found.push(value)
      done = value.end
    }
  }
  return found
}

// A name begins where no other name is under way, so each is tried once; one word may stand before it (`API key: ...`).
const field = new RegExp(
  [
    "--([A-Za-z][\\w-]{1,63})(?:=|[ \\t]{1,3})",
    "(?<![\\w.$-])((?:[A-Za-z]{2,16} )?[\\p{L}_$][\\p{L}\\p{N}_.$-]{1,95})(?:\\[\\w{0,16}\\])?\\\\{0,8}[\"'`]?[ \\t]{0,3}(?:=>|:=|[:=])",
    "<([\\p{L}_][\\p{L}\\p{N}_.:-]{1,63})(?:\\s[^<>]{0,200})?>",
    "(?<![\\w.$-])((?:[A-Za-z]{2,16} )?[A-Za-z_]{3,32}) (?:is|was|ist):?(?= )"
  ].join("|"),
  "gu"
)

/** Of two words the first counts only where it makes the second a name: `API key`, not `secret printed`. */
const nounOf = (name: string): string => {
  const [first, second] = name.split(" ")
  if (second === undefined || nouns.test(second)) return name
  return (second === "is" ? first : second) ?? name
}
const nouns = /(?:key|keys|phrase|code|codes|string|url|uri|number)$/i
/** A sentence goes on after `is`: what follows is a value only if no word looks so. */
const odd = /[^\p{L}.,!?;:)]|\p{Ll}\p{Lu}/u

/** Headers, and phrases of words: the whole line is the value. */
const toLineEnd = /(?:cookie|authorization|phrase|mnemonic)$/i

const quotedValue = /[ \t]{0,8}\\{0,8}(["'`])/y
const bareValue =
  /[ \t]{0,8}(?:(?:bearer|basic|digest|token|apikey|negotiate)[ \t]{1,3})?[^\s"'`,;&|)\]}<>\\]{1,4096}/iy
const wholeLine = /[ \t]{0,8}[^\r\n"'`\\]{1,4096}/y

const valueAt = (text: string, at: number, line: boolean) => {
  quotedValue.lastIndex = at
  const quote = quotedValue.exec(text)?.[1]
  if (quote !== undefined) {
    const start = quotedValue.lastIndex
    return { start, end: closing(text, quote, start), quoted: true }
  }
  const value = line ? wholeLine : bareValue
  value.lastIndex = at
  const matched = value.exec(text)?.[0]
  if (matched === undefined) return undefined
  const end = value.lastIndex
  return { start: end - matched.trimStart().length, end, quoted: false }
}

/** Up to the next quote of the kind, or to the end of what one value may be. */
const closing = (text: string, quote: string, start: number): number => {
  const limit = Math.min(text.length, start + 4_096)
  for (let i = start; i < limit; i++) {
    if (text.charAt(i) === quote && text.charAt(i - 1) !== "\\") return i
    // Quotes that were escaped themselves close with a backslash before them.
    if (text.charAt(i) === "\\" && text.charAt(i + 1) === quote && text.charAt(start - 2) === "\\") return i
  }
  return limit
}

/** `loose`: after a colon or in a sentence, where prose goes on. `long`: names such as `token` that prose is full of. */
const isValue = (said: string, loose: boolean, long: boolean): boolean => {
  const bare = said.replace(/^[([{*]{1,8}|[.!?:*]{1,8}$/g, "")
  const word = bare.toLowerCase().replace(/ .*$/, "")
  if (bare.length < 3 || placeholder.test(said) || keywords.has(word) || (loose && prose.has(word))) return false
  if (!long) return true
  if (/^\d+$/.test(bare)) return loose && bare.length >= 6
  return bare.length >= (/[\d\W_]|[a-z][A-Z]/.test(bare) ? 6 : 16)
}

/** What stands for a value: a mask, a blank to fill in, the name of a variable. */
const placeholder =
  /^(?:[*x•.…-]{3,}|<[^>]{1,64}>?|\$[A-Z_][A-Z0-9_]{1,64}|%[A-Z_]{2,64}%|[A-Z][A-Z0-9]{0,32}(?:_[A-Z0-9]{1,32}){1,8}|env:\w{1,64}|file:\S{1,256}|(?:process\.env|import\.meta\.env|os\.environ|env)\.\w{1,64})$/
/** An expression of a program, or what was taken out before. */
const unsaid = /^[ \t]{0,8}(?:\$\{|\$\(|\{\{|\[redacted|[A-Za-z_$.?!]{1,80}\()/

const set = (words: string): ReadonlySet<string> => new Set(words.split(" "))
const keywords = set(
  "null true false undefined none nil string number boolean unknown never any void object await new function async const readonly optional required"
)
const prose = set(
  "must should shall may can cannot will would is are was were be been has have had not the that this these those and but for from with without when where which what who you your our their its his her too missing invalid incorrect wrong expired empty weak rejected refused accepted changed reset rotated updated removed deleted found set unset never always only one two three some all any either both please enter use using see stored kept hidden shown sent given here there expected unexpected unknown malformed also still now then again protected encrypted hashed management manager policy authentication authorization based very just about required optional or"
)
