import { type JsonValue, maxJsonDepth } from "./Json.ts"

/**
 * RFC 8785 (JCS) text. The value MUST be a snapshot in its storable form: a lone surrogate, a number that JSON does not have
 * or more than 1000 levels here are bugs, so they throw.
 */
export const canonicalize = (value: JsonValue): string => render(value, 0)

// Escaping adds levels, so this bound is not the snapshot's.
const maxDepth = 2 * maxJsonDepth

const render = (value: JsonValue, depth: number): string => {
  switch (typeof value) {
    case "string":
      return quote(value)
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`${value} has no canonical form`)
      return `${value}`
    case "boolean":
      return value ? "true" : "false"
    case "object":
      if (value === null) return "null"
      if (depth === maxDepth) throw new RangeError(`more than ${maxDepth} levels have no canonical form here`)
      return isArray(value) ? renderArray(value, depth + 1) : renderObject(value, depth + 1)
    default:
      throw new TypeError(`${typeof value} has no canonical form`)
  }
}

const isArray = (value: ReadonlyArray<JsonValue> | object): value is ReadonlyArray<JsonValue> => Array.isArray(value)

const renderArray = (items: ReadonlyArray<JsonValue>, depth: number): string => {
  let text = "["
  for (let i = 0; i < items.length; i++) text += (i === 0 ? "" : ",") + render(items[i]!, depth)
  return `${text}]`
}

const renderObject = (object: { readonly [key: string]: JsonValue }, depth: number): string => {
  const keys = Object.keys(object)
  // Both `<` and sort() compare UTF-16 code units, which is the order of RFC 8785, 3.2.3.
  for (let i = 1; i < keys.length; i++) {
    if (keys[i]! < keys[i - 1]!) {
      keys.sort()
      break
    }
  }
  let text = "{"
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    text += `${(i === 0 ? "" : ",") + quote(key)}:${render(object[key]!, depth)}`
  }
  return `${text}}`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be escaped
const plain = /^[^"\\\u0000-\u001f\ud800-\udfff]*$/

// For well-formed strings JSON.stringify is what RFC 8785, 3.2.2.2 prescribes.
const quote = (text: string): string => {
  if (plain.test(text)) return `"${text}"`
  if (!text.isWellFormed()) throw new TypeError("a lone surrogate has no canonical form")
  return JSON.stringify(text)
}
