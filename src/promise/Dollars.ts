import { formatUsd as format, NanoUsd } from "../schema/Money.ts"

/** Billionths of a dollar as a person reads them: `$0.0075`. Exact. */
export const formatUsd = (billionths: bigint): string => format(NanoUsd.make(billionths))
