import type { BridgeStats } from "../schema/BridgeStats.ts"
import { noStats } from "../schema/BridgeStats.ts"

/** The counters of one process, in one place so that they add up. */
export type Counters = { -readonly [K in keyof BridgeStats]: BridgeStats[K] }

export const makeCounters = (mode: "queue" | "outbox"): Counters => ({ ...noStats, enabled: true, mode })
