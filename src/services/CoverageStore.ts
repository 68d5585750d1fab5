import { Context, type Effect } from "effect"
import type { CoverageInstance, OwnCoverage } from "../schema/Coverage.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** Which instances run governance, what is wrapped in them, and what they have counted. State, not evidence (COV-01). */
export class CoverageStore extends Context.Service<
  CoverageStore,
  {
    /**
     * Writes what an instance says of itself, in place of what it said before. `proof` is 32 random bytes that only the
     * instance has: MUST return false, and change nothing, for another proof than its first, for another machine, and for
     * counts that went down. Times are the store's own. Instances not heard of for 30 days go at the same time (COV-02).
     */
    readonly report: (own: OwnCoverage, proof: Uint8Array) => Effect.Effect<boolean, StoreError>
    /** At most 1000, those seen last first. */
    readonly list: Effect.Effect<ReadonlyArray<CoverageInstance>, StoreError>
  }
>()("effect-governance/services/CoverageStore") {}
