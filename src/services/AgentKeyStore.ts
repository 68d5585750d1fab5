import { Context, type Effect } from "effect"
import type { AgentKey, AgentKeyFingerprint, AgentKeyRevocation } from "../schema/AgentKey.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** What the caller knows of a key; its place in the agent's order and its time are the store's to give. */
export type NewAgentKey = Omit<AgentKey, "activationSeq" | "registeredAtMs" | "revocation">

/** When is the store's to say: whoever could choose it would make breaks of what was signed before. */
export type NewRevocation = Omit<AgentKeyRevocation, "revokedAtMs">

/** The public keys of agents and the ends of them. Nothing in it is ever changed or removed (IDN-06). */
export class AgentKeyStore extends Context.Service<
  AgentKeyStore,
  {
    /** Says for which deployment a proof of possession was made; it never changes. */
    readonly deploymentId: Effect.Effect<string, StoreError>
    /** Every key with its revocation, in order of agent and activation. Read when a verification begins. */
    readonly list: Effect.Effect<ReadonlyArray<AgentKey>, StoreError>
    readonly find: (fingerprint: AgentKeyFingerprint) => Effect.Effect<AgentKey | null, StoreError>
    /**
     * Stores the key as the agent's next. A fingerprint that is known stays as it is, with `added: false`, also when it is
     * another agent's. MUST commit or vanish with `StoreTransaction.run` around it.
     */
    readonly add: (key: NewAgentKey) => Effect.Effect<{ readonly added: boolean; readonly key: AgentKey }, StoreError>
    /**
     * Ends a key. Of a revoked one the first revocation stays, with `revoked: false`; null for a key that nobody registered.
     * An `eventId` MUST be that of its row in chain `operator`, written in the same transaction. MUST commit or vanish with `StoreTransaction.run` around it.
     */
    readonly revoke: (
      fingerprint: AgentKeyFingerprint,
      revocation: NewRevocation
    ) => Effect.Effect<{ readonly revoked: boolean; readonly key: AgentKey } | null, StoreError>
  }
>()("effect-governance/services/AgentKeyStore") {}
