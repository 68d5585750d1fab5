import type { Body } from "./Provider.ts"
import type { Address } from "./Ungoverned.ts"

/**
 * What a request asks for that makes all its tokens dearer than the price book says, such as `service_tier: "priority"`: nobody can
 * bound its cost by that book, so it is refused unless the program allows it by name. What an account is set to is not seen here.
 */
export const surchargeOf = (...fields: ReadonlyArray<Body>): Address | undefined => {
  for (const each of fields)
    for (const [field, ordinary] of ordinaries) {
      const value = each[field]
      if (value != null && !ordinary.has(value)) return { method: field, path: String(value) }
    }
  return undefined
}

/** At most the price of the book. AI SDK writes the fields in its own way. */
const tiers: ReadonlySet<unknown> = new Set(["auto", "default", "flex", "scale", "standard", "standard_only"])
const speeds: ReadonlySet<unknown> = new Set(["standard"])
const places: ReadonlySet<unknown> = new Set(["global"])
const ordinaries = [
  ["service_tier", tiers],
  ["serviceTier", tiers],
  ["speed", speeds],
  ["inference_geo", places],
  ["inferenceGeo", places]
] as const
