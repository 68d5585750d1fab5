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

/** The largest of the maxima that a request names; undefined where it names none, or one that is no number of tokens. */
export const largest = (declared: ReadonlyArray<unknown>): number | undefined => {
  const given = declared.filter((one) => one != null).map(count)
  return given.reduce((a, b) => (a === undefined || b === undefined ? undefined : Math.max(a, b)), given[0])
}

/** As often as a request wants to be answered; undefined where nobody can say how the provider reads that. */
export const answers = (...wanted: ReadonlyArray<unknown>): number | undefined => largest([...wanted, 1])

/** Undefined where a factor is not known. */
export const product = (...factors: ReadonlyArray<number | undefined>): number | undefined =>
  factors.reduce((a, b) => (a === undefined || b === undefined ? undefined : a * b), 1)

/** The number of tokens of an answer, as a field that is left out where the provider does not say one. */
export const outputOf = (...said: ReadonlyArray<unknown>): { readonly outputTokens?: number } => {
  const outputTokens = said.map(count).find((one) => one !== undefined)
  return outputTokens === undefined ? {} : { outputTokens }
}

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
