import { existsSync, readdirSync, readFileSync } from "node:fs"

const root = new URL("../../../shared/vectors/", import.meta.url)

// Names may hold a character that has a meaning in URLs.
const at = (path: string) => new URL(path.replaceAll("#", "%23"), root)

/** The public vectors lie beside the project; tests of them are skipped where they are absent. */
export const present = existsSync(root)

export const text = (path: string): string => readFileSync(at(path), "utf8")
export const bytes = (path: string): Uint8Array => readFileSync(at(path))
export const json = (path: string): unknown => JSON.parse(text(path))
export const names = (path: string): ReadonlyArray<string> => (present ? readdirSync(at(path)) : [])

export const naughtyStrings = (): ReadonlyArray<string> => [
  ...(present ? (json("naughty-strings/blns.json") as ReadonlyArray<string>) : []),
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\udfff",
  "\udc00\ud800",
  "a\ud83d",
  "\ude00b",
  "\r\n",
  "\u2028\u2029",
  "\ufffe",
  "\uffff",
  "\ufffd",
  "\ufeffbom",
  "\u202eright to left\u202c",
  "\u2066isolate\u2069",
  "\u001b[31mred\u001b[0m",
  "\u001b]52;c;aGk=\u0007",
  "$",
  "$$",
  "$utf16",
  "$utf16:0000",
  "$sealed",
  "$unsealable",
  "__proto__",
  "constructor",
  "toString",
  "~/a~1b"
]
