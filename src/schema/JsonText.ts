import { Result } from "effect"
import { InvalidJson, type JsonLimits, type JsonValue, jsonLimits, maxJsonDepth, snapshot } from "./Json.ts"

/**
 * Strict decoding of JSON text. Size and depth are judged on the text, since parsing 5 MB of `[` alone takes half a second
 * then `JSON.parse` and the snapshot's rules. The text itself never appears in the error.
 */
export const parseJson = (text: string, limits: JsonLimits = jsonLimits): Result.Result<JsonValue, InvalidJson> => {
  const refuse = (problem: string) => Result.fail(new InvalidJson({ path: "", problem }))
  // Escapes and white space make text longer than its canonical form, six times at most where it matters.
  if (text.length > limits.bytes * 6) return refuse(`takes more than ${limits.bytes} bytes as canonical JSON`)
  const depth = Math.min(limits.depth, maxJsonDepth)
  if (deeperThan(text, depth)) return refuse(`is nested deeper than ${depth} levels`)
  const parsed = Result.try((): unknown => JSON.parse(text))
  return Result.isFailure(parsed) ? refuse("is not JSON") : snapshot(parsed.success, limits)
}

const deeperThan = (text: string, levels: number): boolean => {
  let depth = 0
  let inText = false
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit === 0x22) inText = !inText
    else if (inText) i += unit === 0x5c ? 1 : 0
    else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > levels) return true
    } else if (unit === 0x5d || unit === 0x7d) depth--
  }
  return false
}
