import { Option } from "effect"

/**
 * A decoder that does not decode the same text twice: names repeat by the million. Undefined where decoding fails. Bounded, so
 * that nobody can fill memory with it.
 */
export const remembered = <A>(decode: (value: unknown) => Option.Option<A>, size = 10_000) => {
  const known = new Map<string, A>()
  return (value: unknown): A | undefined => {
    if (typeof value !== "string") return undefined
    const hit = known.get(value)
    if (hit !== undefined) return hit
    const result = Option.getOrUndefined(decode(value))
    if (result !== undefined) {
      if (known.size >= size) known.clear()
      known.set(value, result)
    }
    return result
  }
}
