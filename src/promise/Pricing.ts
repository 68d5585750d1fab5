import { DateTime } from "effect"
import type * as Service from "../services/Pricing.ts"
import type { Usage } from "./Call.ts"
import type { Running } from "./Running.ts"

/** What models cost. */
export interface Pricing {
  /** What a call cost that used this. `at` is when it began; now when left out. */
  price(usage: Usage, options?: { readonly provider?: string; readonly at?: Date }): Promise<Charge>
  /** What is held for a call: its dearest outcome, or all that is left when nothing bounds its answer. */
  worstCase(call: PricingQuestion): Promise<Hold>
  /** Whether a call of the model can be priced. */
  knows(model: string, provider?: string): Promise<boolean>
}

export interface Charge {
  /** Billionths of a dollar. */
  readonly usd: bigint
  readonly tokens: bigint
  readonly source: { readonly name: string; readonly version: string; readonly date: string; readonly entry: string }
  readonly estimated: boolean
}

export interface PricingQuestion {
  readonly model: string
  readonly provider?: string
  readonly inputTokens?: number
  readonly maxTokens?: number
  /** False when the request writes nothing into a provider's cache. */
  readonly cacheWrites?: boolean
}

export type Hold =
  | { readonly _tag: "Exact"; readonly usd: bigint; readonly tokens: bigint }
  | { readonly _tag: "Remaining" }

/** A moment comes as a `Date`. */
export const special = (pricing: Service.Pricing["Service"], running: Running<never>): Pick<Pricing, "price"> => ({
  price: async (usage, { at, provider } = {}) => {
    const charge = await running.promise(
      pricing.price(usage, { provider, ...(at === undefined ? {} : { at: DateTime.fromDateUnsafe(at) }) })
    )
    return { ...charge }
  }
})
