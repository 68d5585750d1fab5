import { linearNfc } from "./Identifier.ts"

/** At most 512 characters of NFC text; backslash, line breaks and tabs escaped in that order, other controls gone (PRS-15). */
export const normaliseReason = (reason: string): string =>
  [
    ...linearNfc(reason.toWellFormed())
      .replaceAll("\\", "\\\\")
      .replaceAll("\n", "\\n")
      .replaceAll("\r", "\\r")
      .replaceAll("\t", "\\t")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
      .replace(/[\u0000-\u001f\u007f-\u009f]/g, "")
  ]
    .slice(0, 512)
    .join("")
