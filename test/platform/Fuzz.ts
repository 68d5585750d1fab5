import type { randomOf } from "../schema/SecretKinds.ts"

/** A JSON Schema, as far as our OpenAPI document uses it. */
export interface JsonSchema {
  readonly [key: string]: unknown
}

export interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components?: { readonly schemas?: Record<string, JsonSchema> }
}

export interface Operation {
  readonly parameters?: ReadonlyArray<{ name: string; in: string; required?: boolean; schema: JsonSchema }>
  readonly requestBody?: { readonly content: Record<string, { readonly schema: JsonSchema }> }
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema?: JsonSchema }> }>
}

type Random = ReturnType<typeof randomOf>

const list = (value: unknown): ReadonlyArray<JsonSchema> => (Array.isArray(value) ? value : [])

export const resolve = (schema: JsonSchema, document: Document): JsonSchema => {
  const name = typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) : undefined
  return name === undefined ? schema : resolve(document.components?.schemas?.[name] ?? {}, document)
}

const pick = <A>(random: Random, options: ReadonlyArray<A>): A =>
  options[Number.parseInt(random("0123456789", 6), 10) % options.length] as A

const hostile: ReadonlyArray<unknown> = [
  null,
  true,
  -1,
  0,
  1e308,
  2 ** 53,
  0.5,
  "",
  "\u0000",
  "\ud800",
  "' OR 1=1 --",
  "%00",
  "../../etc/passwd",
  "\u202e",
  "x".repeat(5_000),
  [],
  {},
  [[[[]]]],
  { __proto__: 1, constructor: {} },
  "$1",
  "{}",
  "\r\nX-Evil: 1",
  "🙂",
  "-0",
  "NaN"
]

/** Texts that fit the patterns of our contract, by what they begin with. */
const fitting = (pattern: string, random: Random): string => {
  const hex = "0123456789abcdef"
  const id = "abcdefghijklmnopqrstuvwxyz0123456789"
  if (pattern.includes("{8}-")) {
    return [8, 4, 4, 4, 12].map((length) => random(hex, length)).join("-")
  }
  if (pattern.includes("{22}")) return "start"
  if (pattern.includes("{64}")) return random(hex, 64)
  if (pattern.includes("\\d{4,6}-")) return "2026-02-03T04:05:06.789Z"
  if (pattern.includes("ml_")) return `ml_${random(id, 43)}`
  if (pattern.includes("@")) return `${random(id, 8)}@example.org`
  if (pattern.includes("session:")) return `agent:${random(id, 5)}`
  return random(id, 6)
}

/** A value that fits the schema, or, now and then, one that does not. */
export const valueOf = (given: JsonSchema, document: Document, random: Random, badness: number): unknown => {
  if (Number.parseInt(random("0123456789", 3), 10) < badness) return pick(random, hostile)
  const schema = resolve(given, document)
  const inner = (part: JsonSchema) => valueOf(part, document, random, badness)
  if ("const" in schema) return schema.const
  if (Array.isArray(schema.enum)) return pick(random, schema.enum)
  const options = [...list(schema.anyOf), ...list(schema.oneOf)]
  if (options.length > 0) return inner(pick(random, options))
  const parts = [schema, ...list(schema.allOf)]
  const constraint = (name: string) => parts.map((part) => part[name]).find((value) => value !== undefined)
  switch (schema.type) {
    case "null":
      return null
    case "boolean":
      return pick(random, [true, false])
    case "integer":
    case "number":
      return Number(constraint("minimum") ?? 0) + Number.parseInt(random("0123456789", 2), 10)
    case "string": {
      const pattern = constraint("pattern")
      return typeof pattern === "string" ? fitting(pattern, random) : `t${random("abc 'é%_", 8)}`
    }
    case "array":
      return Array.from({ length: 1 + (Number.parseInt(random("0123456789", 1), 10) % 3) }, () =>
        inner((schema.items ?? {}) as JsonSchema)
      )
    case "object": {
      const required = new Set((schema.required ?? []) as ReadonlyArray<string>)
      const members = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>)
      return Object.fromEntries(
        members
          .filter(([key]) => required.has(key) || pick(random, [true, false]))
          .map(([key, part]) => [key, inner(part)])
      )
    }
    default:
      return pick(random, [null, 1, "text", [1, "a"], { a: { b: [null, true] } }])
  }
}

/** Where a value does not fit a schema; nothing when it does. Written against JSON Schema, not against our own decoder. */
export const misfit = (value: unknown, given: JsonSchema, document: Document, at = "$"): string | undefined => {
  const schema = resolve(given, document)
  if ("const" in schema && value !== schema.const) return `${at}: not ${JSON.stringify(schema.const)}`
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return `${at}: not in enum`
  const options = [...list(schema.anyOf), ...list(schema.oneOf)]
  if (options.length > 0) {
    const found = options.map((option) => misfit(value, option, document, at))
    if (found.every((problem) => problem !== undefined)) return found.join(" | ")
  }
  for (const part of list(schema.allOf)) {
    const problem = misfit(value, part, document, at)
    if (problem !== undefined) return problem
  }
  const kind = value === null ? "null" : Array.isArray(value) ? "array" : typeof value
  const type = schema.type
  const fits =
    type === undefined || type === kind || (kind === "number" && (type === "number" || Number.isInteger(value)))
  if (!fits) return `${at}: ${kind} is no ${type}`
  if (typeof value === "string" && typeof schema.pattern === "string" && !new RegExp(schema.pattern, "u").test(value)) {
    return `${at}: does not match ${schema.pattern}`
  }
  if (Array.isArray(value)) {
    return value
      .map((item, i) => misfit(item, (schema.items ?? {}) as JsonSchema, document, `${at}[${i}]`))
      .find(Boolean)
  }
  if (typeof value !== "object" || value === null) return undefined
  const members = (schema.properties ?? {}) as Record<string, JsonSchema>
  for (const key of (schema.required ?? []) as ReadonlyArray<string>) {
    if (!(key in value)) return `${at}: ${key} is missing`
  }
  for (const [key, member] of Object.entries(value)) {
    const part = members[key]
    if (part === undefined && schema.additionalProperties === false) return `${at}: ${key} is not in the contract`
    const problem = part === undefined ? undefined : misfit(member, part, document, `${at}.${key}`)
    if (problem !== undefined) return problem
  }
  return undefined
}
