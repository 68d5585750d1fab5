import { Result, Schema } from "effect"
import { type Copied, copyJson, copyMarkedJson } from "./JsonCopy.ts"
import type { Marked } from "./Marked.ts"

export type JsonValue = null | boolean | number | string | ReadonlyArray<JsonValue> | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue
}
/** Plain JSON in which any value may be marked with its subject. */
export type MarkedJson =
  | null
  | boolean
  | number
  | string
  | Marked<JsonValue>
  | ReadonlyArray<MarkedJson>
  | { readonly [key: string]: MarkedJson }

/** `bytes` counts the canonical UTF-8 as it will be stored, `depth` containers inside each other, `keys` those of one object. */
export interface JsonLimits {
  readonly bytes: number
  readonly depth: number
  readonly keys: number
}
/** 64 KiB (AUD-06), 64 levels (A-16), 1000 keys (R-10). */
export const jsonLimits: JsonLimits = { bytes: 65_536, depth: 64, keys: 1_000 }
/** No limit allows more levels than this, because what comes after the snapshot recurses. */
export const maxJsonDepth = 500

/** A value that is not plain JSON within the limits, so it was neither hashed nor stored (A-12 to A-16). */
export class InvalidJson extends Schema.TaggedError<InvalidJson>()(
  "InvalidJson",
  {
    /** JSON pointer to the value, cut after 200 characters; empty for the whole. */
    path: Schema.String,
    problem: Schema.String
  },
  { httpApiStatus: 400 }
) {
  override get message() {
    return `${this.path === "" ? "The value" : `The value at ${this.path}`} ${this.problem}`
  }
  get recoveryHint() {
    return "Pass plain JSON: null, booleans, finite numbers, strings, arrays and plain objects, within the documented size."
  }
}

/**
 * One frozen deep copy of plain JSON; every getter and Proxy is read once, here (A-14). Like `JSON.stringify` it drops
 * object members that are `undefined` and makes -0 to 0; whatever else would be lost or changed is refused.
 */
export const snapshot = (value: unknown, limits: JsonLimits = jsonLimits): Result.Result<JsonValue, InvalidJson> =>
  toResult(copyJson(value, bounded(limits)))

/** The same for metadata: a value marked by `sealed(subject, value)` stays marked, with its own snapshot inside. */
export const snapshotMarked = (
  value: unknown,
  limits: JsonLimits = jsonLimits
): Result.Result<MarkedJson, InvalidJson> => toResult(copyMarkedJson(value, bounded(limits)))

const bounded = (limits: JsonLimits): JsonLimits =>
  limits.depth > maxJsonDepth ? { ...limits, depth: maxJsonDepth } : limits

const toResult = <A>(copied: Copied<A>): Result.Result<A, InvalidJson> =>
  copied._tag === "Copied"
    ? Result.succeed(copied.json)
    : Result.fail(new InvalidJson({ path: copied.path, problem: copied.problem }))
