import { Result, Schema } from "effect"
import { Hex } from "effect/encoding"
import { AgentKeyRefused } from "./AgentKeyError.ts"
import { canonicalize } from "./CanonicalJson.ts"
import type { Digest } from "./Chain.ts"
import { type AgentId, agentChain, type EventId } from "./Ids.ts"
import { domainLabels } from "./Subkeys.ts"

/** All 256 bits of a labelled SHA-256 of the public key, in hex: never shortened, never completed (K-07). */
export const AgentKeyFingerprint = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)).pipe(
  Schema.brand("AgentKeyFingerprint")
)
export type AgentKeyFingerprint = typeof AgentKeyFingerprint.Type

/** The end of a key: what it signed before stays valid, what it signs afterwards is a break (IDN-06). */
export interface AgentKeyRevocation {
  readonly reason: string
  readonly revokedBy: string
  /** Milliseconds since the epoch by the clock of the store. */
  readonly revokedAtMs: number
  /** The `audit.agent_key_revocation` row in chain `operator`; null when it could not be written (IDN-07). */
  readonly eventId: EventId | null
}

/** A public key that belongs to one agent, for good. */
export interface AgentKey {
  readonly fingerprint: AgentKeyFingerprint
  readonly agentId: AgentId
  /** 32 bytes, Ed25519 (RFC 8032). */
  readonly publicKey: Uint8Array
  /** The owner's signature over `possessionText`: nobody can register a key that is not in their hands (K-10). */
  readonly proof: Uint8Array
  /** 1 for the agent's first key; the store refuses every other order (IDN-06). */
  readonly activationSeq: number
  readonly registeredAtMs: number
  readonly revocation: AgentKeyRevocation | null
}

/** SHA-256 over the label and the key's 64 hex digits. */
export const fingerprintOf = (publicKey: Uint8Array, hash: Digest): AgentKeyFingerprint =>
  AgentKeyFingerprint.make(Hex.encode(hash(`effect-governance/agent-key/v1/fingerprint\n${Hex.encode(publicKey)}`)))

/** What the owner of a key signs to register it: bound to the agent, its chain and this deployment, so that it fits nowhere else. */
export const possessionText = (agentId: AgentId, publicKey: Uint8Array, deploymentId: string): string =>
  domainLabels.possession +
  canonicalize({
    agent: agentId,
    chain: agentChain(agentId),
    deployment: deploymentId,
    publicKey: Hex.encode(publicKey)
  })

/**
 * Refuses what no honest key is: another length, a y coordinate not below the field's prime, and the points of small order,
 * under which one signature fits many messages (K-10). Node's own verifier accepts all of them.
 */
export const checkPublicKey = (publicKey: Uint8Array): Result.Result<Uint8Array, AgentKeyRefused> => {
  const refuse = (problem: AgentKeyRefused["problem"]) => Result.fail(new AgentKeyRefused({ problem }))
  if (publicKey.length !== 32) return refuse("length")
  const y = yOf(publicKey)
  if (y >= prime) return refuse("nonCanonical")
  return smallOrder.has(y) ? refuse("smallOrder") : Result.succeed(publicKey)
}

const prime = 2n ** 255n - 19n

/** The y coordinates of the eight points of order 1, 2, 4 and 8; the sign of x, the last bit, changes nothing. */
const smallOrder: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  prime - 1n,
  2707385501144840649318225287225658788936804267575313519463743609750303402022n,
  55188659117513257062467267217118295137698188065244968500265048394206261417927n
])

/** Little-endian, without the last bit, which is the sign of x. */
const yOf = (publicKey: Uint8Array): bigint => {
  let y = 0n
  for (let i = 31; i >= 0; i--) y = y * 256n + BigInt(i === 31 ? publicKey[i]! & 0x7f : publicKey[i]!)
  return y
}
