/**
 * Why the bridge has stopped for the life of the process. `loop_detected`: its requests came back to a server of this deployment
 * that is no platform.
 */
export type DisabledReason = "auth_failed" | "tier_not_entitled" | "loop_detected"

/**
 * Everything that the bridge has counted since its start (BRG-18). Of events: `enqueued` is the sum of `sent`, of all that is
 * `dropped`, of `queueDepth` and of `inFlight`.
 */
export interface BridgeStats {
  /** False: one of the three settings is missing, and nothing of the bridge runs. */
  readonly enabled: boolean
  readonly mode: "off" | "queue" | "outbox"
  readonly disabled: boolean
  readonly disabledReason: DisabledReason | null
  readonly enqueued: number
  readonly sent: number
  readonly queueDepth: number
  readonly inFlight: number
  readonly droppedOverflow: number
  /** The latch was set. */
  readonly droppedDisabled: number
  /** 4xx other than 401, 402, 409 and 429. */
  readonly dropped4xx: number
  /** 5xx, redirects, and no usable answer. */
  readonly dropped5xx: number
  /** Still 429 after the last attempt. */
  readonly dropped429: number
  /** The platform asked for another `seq` twice (BRG-10). */
  readonly droppedSeqConflict: number
  /** The guard let nothing out: the host may not be connected to (BRG-13). */
  readonly droppedRefused: number
  readonly retries429: number
  readonly seqHealed: number
  /** The `seq` of the next event. */
  readonly nextSeq: number

  /** Forwards that had to wait for one of the 100 places (FWD-09). */
  readonly gateForwardsQueued: number
  readonly gateForwardsSent: number
  readonly gateForwardsDropped: number
  readonly polls: number
  readonly pollErrors: number
  readonly remoteDecisionsApplied: number
  /** What the platform has decided and what did not hold here (FWD-12). */
  readonly remoteDecisionsDropped: number
  readonly localResolutionsSent: number
  readonly localResolutionsDropped: number
  /** Rows of the log that the outbox has passed over, each with a record in the log (B-21). */
  readonly skipped: number
}

export const noStats: BridgeStats = {
  enabled: false,
  mode: "off",
  disabled: false,
  disabledReason: null,
  enqueued: 0,
  sent: 0,
  queueDepth: 0,
  inFlight: 0,
  droppedOverflow: 0,
  droppedDisabled: 0,
  dropped4xx: 0,
  dropped5xx: 0,
  dropped429: 0,
  droppedSeqConflict: 0,
  droppedRefused: 0,
  retries429: 0,
  seqHealed: 0,
  nextSeq: 1,
  gateForwardsQueued: 0,
  gateForwardsSent: 0,
  gateForwardsDropped: 0,
  polls: 0,
  pollErrors: 0,
  remoteDecisionsApplied: 0,
  remoteDecisionsDropped: 0,
  localResolutionsSent: 0,
  localResolutionsDropped: 0,
  skipped: 0
}
