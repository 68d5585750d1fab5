/** Says what a value that JSON does not have is, and what to pass instead. Names the kind only, never the content. */
export const foreignObject = (value: object): string => {
  for (const [kind, advice, is] of kinds) if (is(value)) return `is ${kind}: ${advice}`
  return "is an instance of a class: pass a plain object of the fields that matter"
}

export const foreignPrimitive = (value: unknown): string => {
  switch (typeof value) {
    case "undefined":
      return "is undefined: pass null"
    case "bigint":
      return "is a bigint: pass it as a string"
    case "function":
      return "is a function: only data can be stored"
    default:
      return "is a symbol: pass a string"
  }
}

const kinds: ReadonlyArray<readonly [kind: string, advice: string, is: (value: object) => boolean]> = [
  ["a Date", "pass its toISOString()", (value) => value instanceof Date],
  ["a URL", "pass its href", (value) => value instanceof URL],
  ["a Map", "pass Object.fromEntries(map)", (value) => value instanceof Map],
  ["a Set", "pass [...set]", (value) => value instanceof Set],
  ["an Error", "pass its name and message", (value) => value instanceof Error],
  ["a RegExp", "pass its source", (value) => value instanceof RegExp],
  ["a Promise", "await it first", (value) => value instanceof Promise],
  ["binary data", "pass it as base64 text", (value) => ArrayBuffer.isView(value) || value instanceof ArrayBuffer],
  [
    "a boxed primitive",
    "pass its valueOf()",
    (value) => value instanceof String || value instanceof Number || value instanceof Boolean
  ]
]
