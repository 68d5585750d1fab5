/**
 * Canonical stored text for people: `<sealed>` where a marked value is sealed, `<not kept>` where it could not be. Without
 * quotes, so that no text of a caller's can pass for one; a caller's own `$sealed` is stored as `$$sealed`.
 */
export const sealsNamed = (canonical: string): string =>
  canonical.replaceAll(sealedForm, "<sealed>").replaceAll(lostForm, "<not kept>")

// A quote inside a text is escaped in canonical JSON, so neither can match there.
const sealedForm = /\{"\$sealed":\{"ct":"[\w-]+","key":"[\w-]+","nonce":"[\w-]+","v":1\}\}/g
const lostForm = /\{"\$unsealable":true\}/g
