import type { Body } from "./Provider.ts"

// What comes from a provider is looked at without trust: a field that is not what it should be counts as absent.

/** The object itself; an empty one where it is none. */
export const record = (value: unknown): Body =>
  // Any object can be asked for any key.
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Body) : {}

/** The objects of an array; none where it is no array. */
export const items = (value: unknown): ReadonlyArray<Body> => (Array.isArray(value) ? value.map(record) : [])

/** A whole number from 0 up. */
export const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** In bytes; 0 where it is no text. */
export const utf8Length = (value: unknown): number => (typeof value === "string" ? Buffer.byteLength(value) : 0)

/** The JSON object of an event's data; empty where it is none. */
export const eventOf = (data: string): Body => {
  try {
    return record(JSON.parse(data))
  } catch {
    return {}
  }
}
