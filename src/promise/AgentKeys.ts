/** Who may sign as which agent. */
export interface AgentKeys {
  list(): Promise<ReadonlyArray<AgentKey>>
  /** The text that the owner of a key signs to register it. */
  challenge(agentId: string, publicKey: Uint8Array): Promise<string>
  /** The same key again changes nothing. */
  register(registration: {
    readonly agentId: string
    /** 32 bytes, Ed25519. */
    readonly publicKey: Uint8Array
    /** The signature over `challenge`. */
    readonly proof: Uint8Array
    readonly by: string
  }): Promise<{ readonly added: boolean; readonly key: AgentKey }>
  revoke(
    fingerprint: string,
    revocation: {
      readonly reason: string
      readonly by: string
      /** False revokes even if the log does not take the row that says so. */
      readonly strictChain?: boolean | undefined
    }
  ): Promise<{ readonly revoked: boolean; readonly key: AgentKey }>
}

export interface AgentKey {
  readonly fingerprint: string
  readonly agentId: string
  readonly publicKey: Uint8Array
  readonly proof: Uint8Array
  readonly activationSeq: number
  readonly registeredAtMs: number
  readonly revocation: {
    readonly reason: string
    readonly revokedBy: string
    readonly revokedAtMs: number
    readonly eventId: string | null
  } | null
}
