import type { KeyObject } from "node:crypto"
import { Result } from "effect"
import { type AgentKey, checkPublicKey, fingerprintOf, possessionText } from "../schema/AgentKey.ts"
import type { Digest } from "../schema/Chain.ts"
import { isSignedBy, publicKeyFrom } from "./Ed25519.ts"

/**
 * The key, ready to check with, if its fingerprint, its form and its proof of possession agree with it; else null. The database
 * takes any bytes from whoever may call its function, so this MUST stand before everything that believes the registry (K-10).
 * Each key is looked at once.
 */
export const possession = (hash: Digest, deploymentId: string) => {
  const looked = new Map<AgentKey, KeyObject | null>()
  return (key: AgentKey): KeyObject | null => {
    const before = looked.get(key)
    if (before !== undefined) return before
    const sound =
      Result.isSuccess(checkPublicKey(key.publicKey)) && fingerprintOf(key.publicKey, hash) === key.fingerprint
    const ready = sound ? publicKeyFrom(key.publicKey) : null
    const owned =
      ready !== null && isSignedBy(ready, possessionText(key.agentId, key.publicKey, deploymentId), key.proof)
    looked.set(key, owned ? ready : null)
    return owned ? ready : null
  }
}
