import type { Piece } from "./SecretShapes.ts"

/** Masks the passwords of all URLs in a text and leaves what tells one place from another. Linear in the text. */
export const hideUrlPasswords = (text: string, mask = "***"): string =>
  text.includes("://") ? text.replace(words, (word) => withoutPassword(word, mask)) : text

/** What is secret in the URLs of a text: user and password, and the values of parameters that say so. */
export const urlSecrets = (text: string, isSecretKey: (key: string) => boolean): ReadonlyArray<Piece> => {
  if (!text.includes("://") && !text.includes("?")) return []
  const found: Array<Piece> = []
  for (const match of text.matchAll(userInfo)) {
    // A bare short name is a user: `git@`.
    if (!/^:\/\/[a-z]{1,12}@$/.test(match[0]))
      found.push({ start: match.index + 3, end: match.index + match[0].length - 1 })
  }
  for (const match of text.matchAll(parameter)) {
    const [whole, key = "", value = ""] = match
    const end = match.index + whole.length
    if (isSecretKey(key) || signatures.has(key.toLowerCase()) || (codes.has(key.toLowerCase()) && isLong(value)))
      found.push({ start: end - value.length, end })
  }
  return found
}

/** The password of a connection string, as it is written and as it reads decoded: in the user's place or in a parameter. */
export const passwordsOf = (url: string): ReadonlyArray<string> => {
  const found = /:\/\/[^\s:/@]{0,256}:([^\s]{1,2048})@/.exec(url)?.[1]
  const inParameter = /[?&](?:ssl)?password=([^&\s]{1,2048})/i.exec(url)?.[1]
  return [found, inParameter].flatMap((part) => (part === undefined ? [] : [part, decoded(part)]))
}

const decoded = (part: string): string =>
  part.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

const words = /[^\s"'`]+/g
const inQuery = /([?&](?:ssl)?password=)[^&]*/gi

/** A sloppy password may hold `/`, `:` and `@` itself, so everything up to the last `@` of the word goes. */
const withoutPassword = (word: string, mask: string): string => {
  const start = word.indexOf("://") + 3
  if (start < 3) return word
  const colon = word.indexOf(":", start)
  const at = word.lastIndexOf("@")
  const shown = colon < 0 || at < colon ? word : `${word.slice(0, colon + 1)}${mask}${word.slice(at)}`
  return shown.replace(inQuery, `$1${mask}`)
}

const userInfo = /:\/\/[^\s/@"'<>?#]{1,512}@/g
const parameter = /[?&#;]([A-Za-z][\w.[\]-]{0,63})=([^\s&#"'<>`]{1,4096})/g

const set = (names: string): ReadonlySet<string> => new Set(names.split(" "))
/** Parameters whose names say nothing but to those who sign URLs. */
const signatures = set(
  "sig signature hmac x-amz-signature x-amz-credential x-amz-security-token x-goog-signature x-goog-credential"
)
/** Secret where they are long: `?code=404` and `?state=open` are not. */
const codes = set("key code state auth sid ticket nonce")
const isLong = (value: string) => value.length >= 12 && /\d/.test(value)
