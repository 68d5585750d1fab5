import { Result } from "effect"
import { canonicalize } from "./CanonicalJson.ts"
import { escape, type SealMark } from "./Escape.ts"
import { ActionHash } from "./GateRequest.ts"
import type { AgentId } from "./Ids.ts"
import { InvalidInput } from "./InvalidInput.ts"
import { type MarkedJson, snapshotMarked } from "./Json.ts"
import { domainLabels } from "./Subkeys.ts"

/** Arguments in two canonical forms: `stored` is kept and shown, `bound` is hashed. They differ only where a value is marked. */
export interface ActionPayload {
  /** Without the marked values: they are sealed when there is a request to seal them for. */
  readonly stored: string | null
  readonly bound: string | null
  /** The snapshot, where anything in it is marked. */
  readonly marked: MarkedJson | null
}

/**
 * One snapshot of what an agent wants to do (A-14, T-06). `bind` stands for a marked value in the hash, so that a sealed
 * amount cannot be swapped after the approval, and a guess cannot be confirmed without the key.
 */
export const payloadOf = (value: unknown, bind: SealMark): Result.Result<ActionPayload, InvalidInput> =>
  value === undefined
    ? Result.succeed({ stored: null, bound: null, marked: null })
    : Result.mapBoth(snapshotMarked(value), {
        onSuccess: (json) => {
          const [stored, bound] = [canonicalize(escape(json)), canonicalize(escape(json, bind))]
          return { stored, bound, marked: stored === bound ? null : json }
        },
        onFailure: (error) => new InvalidInput({ field: "payload", problem: error.message })
      })

/** Whether stored arguments hold marked values. Only a mark is stored like that: a caller's own keys get one more `$`, and quotes in texts are escaped. */
export const hasMarks = (stored: string | null): boolean => stored !== null && /"\$(?:unsealable|sealed)":/.test(stored)

/** SHA-256 over the domain label and the JCS text of {agentId, kind, payload} (OQ-23). `hash` is SHA-256 to hex. */
export const actionHash = (
  hash: (text: string) => string,
  kind: string,
  agentId: AgentId,
  bound: string | null
): ActionHash => {
  const payload = bound === null ? "" : `,"payload":${bound}`
  return ActionHash.make(
    hash(`${domainLabels.actionHash}{"agentId":${canonicalize(agentId)},"kind":${canonicalize(kind)}${payload}}`)
  )
}
