import { Schema } from "effect"
import { StoreError } from "../schema/StoreError.ts"
import * as Errors from "./Errors.ts"

/**
 * The HTTP status that fits an error of this library: 403 for what is not allowed, 402 for what is not affordable, 409 for a
 * halted agent, 429 for a loop, 503 for a database that does not answer. Undefined for every other error: it is not ours.
 */
export const httpStatusOf = (error: unknown): number | undefined => {
  if (error instanceof StoreError) return 503
  if (!Errors.isGovernanceError(error) && !Errors.isHaltError(error)) return undefined
  const type = typeof error === "object" && error !== null ? error.constructor : undefined
  if (!Schema.isSchema(type)) return undefined
  const status = type.ast.annotations?.httpApiStatus
  return typeof status === "number" ? status : 500
}
