import { linearNfc } from "./Identifier.ts"

/**
 * NFC text without controls; backslash, then line breaks and tabs escaped (PRS-15). At most 512 UTF-16 units, what `HaltReason`
 * holds, and cut between characters: neither half a surrogate pair nor half an escape is left.
 */
export const normaliseReason = (reason: string): string => {
  let text = ""
  for (const character of linearNfc(reason.toWellFormed())) {
    const next = escapes[character] ?? character.replace(controls, "")
    if (text.length + next.length > 512) break
    text += next
  }
  return text
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" }
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
const controls = /[\u0000-\u001f\u007f-\u009f]/
