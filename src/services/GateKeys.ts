// Whether a MAC is right must not be readable from the time it takes to say no, which only Node's own comparison gives.
import { timingSafeEqual } from "node:crypto"
import { Effect } from "effect"
import { Hex } from "effect/encoding"
import { actionHash, hasMarks } from "../schema/ActionHash.ts"
import { type ApprovalFacts, approvalPurpose, approvalText } from "../schema/ApprovalMac.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import { escape, type SealMark } from "../schema/Escape.ts"
import type { ActionHash, Gate } from "../schema/GateRequest.ts"
import { type GateToken, macInput, signedPart, tokenPurpose } from "../schema/GateToken.ts"
import type { AgentId, KeyId } from "../schema/Ids.ts"
import { Marked } from "../schema/Marked.ts"
import { ChainKeys } from "./ChainKeys.ts"

/** What gates make and check with the audit secret: tokens, the MACs of decisions, hashes of actions. */
export const make = Effect.map(ChainKeys, (keys) => {
  const hashHex = (text: string) => Hex.encode(keys.hash(text))

  const rowMac = (keyId: KeyId, facts: ApprovalFacts): string | undefined => {
    const mac = keys.macWith(keyId, approvalPurpose)
    return mac === undefined ? undefined : Hex.encode(mac(approvalText(facts)))
  }

  return {
    currentKey: () => keys.current.keyId,
    hashHex,
    actionHash: (kind: string, agentId: AgentId, bound: string | null): ActionHash =>
      actionHash(hashHex, kind, agentId, bound),
    /**
     * What stands for a marked value in the hash of an action: nobody without the key can confirm a guess. Under the key of
     * now: what is compared later MUST be bound by the same.
     */
    binding: (): SealMark => {
      const mac = keys.macOf("marked-argument")
      return (marked) => ({ $bound: Hex.encode(mac(canonicalize(escape(Marked.reveal(marked))))) })
    },
    /**
     * Whether the arguments that people are shown are those of the action that may run: somebody who writes past the functions
     * MUST NOT get one approved under the looks of another (T-18). Marked values cannot be compared: their row has no values.
     */
    isAsShown: ({ actionHash: hash, agentId, kind, payload }: Gate): boolean =>
      hasMarks(payload) || actionHash(hashHex, kind, agentId, payload) === hash,
    /** The token of a request, made of its row; undefined without the key that it was made with. */
    tokenOf: (gate: Gate, deployment: string): string | undefined => {
      const mac = keys.macWith(gate.keyId, tokenPurpose)
      if (mac === undefined) return undefined
      const signed = signedPart(gate)
      return `${signed}:${Hex.encode(mac(macInput(deployment, signed)))}`
    },
    /** Every known key with the token's prefix is tried, all of them in version 1 (OQ-04, ROT-08). */
    isGenuine: (token: GateToken, deployment: string): boolean =>
      keys
        .keyIds()
        .filter((keyId) => token.keyPrefix === null || keyId.startsWith(token.keyPrefix))
        .some((keyId) => {
          const mac = token.version === 1 ? keys.macFor(keyId) : keys.macWith(keyId, tokenPurpose)
          const text = token.version === 1 ? token.signed : macInput(deployment, token.signed)
          return mac !== undefined && isEqual(Hex.encode(mac(text)), token.mac)
        }),
    rowMac,
    isRowGenuine: (keyId: KeyId, facts: ApprovalFacts, mac: string): boolean => {
      const own = rowMac(keyId, facts)
      return own !== undefined && isEqual(own, mac)
    }
  }
})

export type GateKeys = Effect.Success<typeof make>

/** Both are hex of the same length where they can be equal. */
const isEqual = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
