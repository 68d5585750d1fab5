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
  /** The entry of the price list that holds now; undefined for a model that only the fallback rate would price. */
  listed(model: string, provider?: string): Promise<Price | undefined>
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

/** What a model costs now: the first tier holds for every call, the others for longer inputs. */
export interface Price {
  readonly entry: string
  readonly source: { readonly name: string; readonly version: string; readonly date: string }
  readonly tiers: ReadonlyArray<Tier>
  /** The model is also sold by units that are not counted: a charge is a lower bound. */
  readonly partial: boolean
}

/** Trillionths of a dollar for one token of each class. */
export interface Tier {
  readonly aboveInputTokens: number
  readonly input: bigint
  readonly output: bigint
  readonly cachedInput: bigint
  readonly cacheWrite: bigint
  readonly cacheWrite1h: bigint
  readonly reasoning: bigint
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
