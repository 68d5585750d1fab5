import type { End } from "./LiveCall.ts"
import { record } from "./Reading.ts"

/**
 * What a provider's failed request has cost, by the error that its SDK threw: nothing where the provider refused it or never
 * saw it, else what was seen of the answer. `reason` is what the caller is told instead, where that is something else.
 */
export const endOfError = (error: unknown, reason: unknown = error): End => ({
  _tag: isFree(error) ? "Released" : "Broken",
  error: reason
})

const isFree = (error: unknown): boolean => {
  let current = error
  for (let depth = 0; depth < 8 && typeof current === "object" && current !== null; depth++) {
    const { cause, code, status, statusCode } = record(current)
    if (isRefusal(status) || isRefusal(statusCode)) return true
    if (typeof code === "string" && neverSent.has(code)) return true
    current = cause
  }
  return false
}

const isRefusal = (status: unknown) => typeof status === "number" && status >= 400

/** The connection was never made, so the provider has seen nothing. */
const neverSent: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"])
