import { Context } from "effect"
import { hideUrlPasswords, passwordsOf } from "../schema/UrlSecrets.ts"

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

/**
 * Masks what follows the user name in every URL, and every secret that is known. Not the whole of `schema/Redaction.ts`: hashes,
 * keys' fingerprints and fresh tokens are what an operator asks this program for.
 */
export const redact = (text: string, secrets: ReadonlySet<string> = none): string => {
  let clean = text
  for (const secret of secrets) clean = clean.replaceAll(secret, mask)
  return hideUrlPasswords(clean, mask)
}

const mask = "***"
const none: ReadonlySet<string> = new Set()
