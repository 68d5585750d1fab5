/**
 * Bits of entropy that a secret shows: Shannon's of its symbols, counted only where a symbol is news. A well-known word is
 * one symbol; what continues a constant step (repeats, counting up or down) or copies four or more earlier symbols is two,
 * however long. Text of words has at most 2.5 bits a character. Quadratic in the length.
 */
export const estimateBits = (bytes: Uint8Array): number => {
  const text = latin1.decode(bytes).toLowerCase()
  let news = 0
  for (let i = 0; i < bytes.length; ) {
    const word = wordAt(text, i)
    const skip = Math.max(stepRun(bytes, i), earlierCopy(bytes, i))
    if (word !== undefined) news += 1
    else news += skip >= 4 ? 2 : 1
    i += word !== undefined ? word.length : skip >= 4 ? skip : 1
  }
  const perSymbol = shannon(bytes)
  return news * (isLanguage(latin1.decode(bytes)) ? Math.min(perSymbol, 2.5) : perSymbol)
}

/** One word that chance does not write, or two that it might: 43 random characters hold "admin" once in a million. */
export const hasCommonWords = (bytes: Uint8Array): boolean => {
  const text = latin1.decode(bytes).toLowerCase()
  const found = words.filter((word) => text.includes(word))
  return found.length > 1 || found.some((word) => word.length >= 7)
}

const latin1 = new TextDecoder("latin1")

const wordAt = (text: string, at: number) => words.find((word) => text.startsWith(word, at))

const shannon = (bytes: Uint8Array): number => {
  const counts = new Map<number, number>()
  for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / bytes.length) * Math.log2(count / bytes.length)
  return bits
}

/** Words in one case each, with separators between them and a few other characters at the end. */
const isLanguage = (text: string) =>
  /^(?:[A-Z]?[a-z]+|[A-Z]+)(?:[\s.,_-]+(?:[A-Z]?[a-z]+|[A-Z]+))*[^A-Za-z]{0,6}$/.test(text)

const stepRun = (bytes: Uint8Array, from: number): number => {
  const step = (bytes[from + 1] ?? 0) - bytes[from]!
  let length = 1
  while (from + length < bytes.length && bytes[from + length]! - bytes[from + length - 1]! === step) length++
  return length
}

const earlierCopy = (bytes: Uint8Array, from: number): number => {
  let longest = 0
  for (let start = 0; start < from; start++) {
    let length = 0
    while (from + length < bytes.length && bytes[start + length] === bytes[from + length]) length++
    if (length > longest) longest = length
  }
  return longest
}

// biome-ignore format: a list of words is read as a list
const words: ReadonlyArray<string> = [
  "changeme", "change_me", "change-me", "changeit", "password", "passw0rd", "p4ssword", "p@ssw", "secret", "s3cr3t", "qwerty",
  "letmein", "welcome", "example", "sample", "default", "placeholder", "replace", "insert", "governance", "development",
  "production", "testing", "your-", "your_", "yourkey", "donotuse", "do-not-use", "do_not_use", "admin", "foobar", "deadbeef",
  "cafebabe", "badc0de", "abcdef", "asdfgh", "zxcvbn", "1q2w3e", "iloveyou", "monkey", "dragon", "master", "correcthorse",
  "correct horse", "loremipsum", "lorem ipsum", "supersecure", "hunter2", "keyboard"
]
