import { Context } from "effect"

/** Secrets that this process has read: none of them may reach the screen, whoever put it into a message (CFG-32, L-05). */
export class Secrets extends Context.Reference<Set<string>>("effect-governance/cli/Secrets", {
  defaultValue: () => new Set()
}) {}

/** Remembers a secret, and the password inside it when it is a connection string. */
export const learn = (secrets: Set<string>, secret: string): void => {
  const text = secret.trim()
  // What is this short or this plain would blacken words of ordinary sentences.
  const remember = (part: string) => {
    if (part.length >= 6 && !/^[a-z]{1,11}$/.test(part)) secrets.add(part)
  }
  remember(text)
  for (const password of passwordsOf(text)) remember(password)
}

/** Masks what follows the user name in every URL, and every secret that is known. Linear in the text. */
export const redact = (text: string, secrets: ReadonlySet<string> = none): string => {
  let clean = text
  for (const secret of secrets) clean = clean.replaceAll(secret, mask)
  return clean.includes("://") ? clean.replace(words, withoutPassword) : clean
}

const mask = "***"
const none: ReadonlySet<string> = new Set()
const words = /[^\s"'`]+/g
const inQuery = /([?&](?:ssl)?password=)[^&]*/gi

/** A sloppy password may hold `/`, `:` and `@` itself, so everything up to the last `@` of the word goes. */
const withoutPassword = (word: string): string => {
  const start = word.indexOf("://") + 3
  if (start < 3) return word
  const colon = word.indexOf(":", start)
  const at = word.lastIndexOf("@")
  const shown = colon < 0 || at < colon ? word : `${word.slice(0, colon + 1)}${mask}${word.slice(at)}`
  return shown.replace(inQuery, `$1${mask}`)
}

const passwordsOf = (text: string): ReadonlyArray<string> => {
  const found = /:\/\/[^\s:/@]{0,256}:([^\s]{1,2048})@/.exec(text)?.[1]
  const inParameter = /[?&](?:ssl)?password=([^&\s]{1,2048})/i.exec(text)?.[1]
  return [found, inParameter].flatMap((part) => (part === undefined ? [] : [part, decoded(part)]))
}

const decoded = (part: string): string =>
  part.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
