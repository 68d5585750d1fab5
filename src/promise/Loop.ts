/** Agents that repeat themselves. */
export interface Loop {
  register(policy: LoopPolicy & { readonly agentId: string }): Promise<void>
  /** Counts one call; rejects with `LoopDetected` when there are too many. `governed` counts by itself. */
  recordCall(agentId: string, sessionId: string | null, tool: string): Promise<void>
  /** True when the session is over its limit now. */
  check(agentId: string, sessionId: string | null): Promise<boolean>
}

/** How often one tool may be called in one session within a sliding window. */
export interface LoopPolicy {
  readonly windowSeconds: number
  readonly maxCalls: number
  /** Default `raise`. */
  readonly action?: "raise" | "log"
  /** Notices repeated identical calls and circles as well. */
  readonly progress?: {
    /** Identical calls with the same result in a row that are still allowed. */
    readonly maxRepeats: number
    /** Full rounds of a circle that are still allowed. */
    readonly maxCycles?: number
    /** Tools that poll by design, with their own number of identical calls. */
    readonly polling?: { readonly [tool: string]: number }
  }
}
