import { Option, Result, Schema } from "effect"
import { canonicalize } from "./CanonicalJson.ts"

/** One line of RFC 8785 JSON of exactly this shape: so that there is one way to write what was hashed. */
export const canonicalFile = <A>(
  file: Uint8Array | undefined,
  schema: Schema.ConstraintDecoder<A, never>
): A | undefined => {
  const text = file === undefined ? undefined : textOf(file)
  if (text === undefined) return undefined
  const json = Option.getOrUndefined(decodeJson(text))
  if (json === undefined) return undefined
  // A number or a depth without canonical form throws.
  const again = Result.try(() => canonicalize(json.value))
  if (!Result.isSuccess(again) || `${again.success}\n` !== text) return undefined
  return Option.getOrUndefined(Schema.decodeUnknownOption(schema, { onExcessProperty: "error" })(json.value))
}

const parseJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))
const decodeJson = (text: string) => Option.map(parseJson(text), (value) => ({ value }))

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
/** Undefined for what is no UTF-8. */
export const textOf = (bytes: Uint8Array) => Result.getOrUndefined(Result.try(() => strict.decode(bytes)))

/** Every line without its end. False when one is no UTF-8, or the last one does not end. */
export const eachLine = (bytes: Uint8Array, visit: (line: string, number: number) => void): boolean => {
  let from = 0
  for (let number = 1; from < bytes.length; number++) {
    const end = bytes.indexOf(0x0a, from)
    const line = end < 0 ? undefined : textOf(bytes.subarray(from, end))
    if (line === undefined) return false
    visit(line, number)
    from = end + 1
  }
  return true
}
