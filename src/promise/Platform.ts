import type { BridgeStats } from "../schema/BridgeStats.ts"

/** The bridge to a platform, which shows there what happens here. Off unless three settings are given (BRG-01). */
export interface Platform {
  /** What was sent, what was not and why (BRG-18). Never rejects. */
  stats(): Promise<BridgeStats>
}
