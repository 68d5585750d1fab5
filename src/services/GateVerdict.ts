import { Result, Schema } from "effect"
import type { UsedApproval } from "../schema/Call.ts"
import { demandOf, eligible, type GateDemand } from "../schema/GateDemand.ts"
import { GatePolicy } from "../schema/Policy.ts"
import { personOf } from "../schema/RemotePerson.ts"
import { isSamePerson } from "../schema/SamePerson.ts"
import { StoreError } from "../schema/StoreError.ts"
import type { GateKeys } from "./GateKeys.ts"
import type { GateView } from "./GateStore.ts"

/** What a stored grant is worth now. */
export type Standing =
  | { readonly _tag: "Good"; readonly approval: UsedApproval; readonly editedPayload: string | null }
  /** The policy asks for more, or other people, than it did (T-17). */
  | { readonly _tag: "Withdrawn" }
  /** The row says something that nobody with the key has written (T-18). */
  | { readonly _tag: "Forged" }

/** What the stored policies ask for. A policy that this version cannot read MUST NOT loosen anything. */
export const demandNow = ({ gate, policies }: GateView): Result.Result<GateDemand, StoreError> => {
  const read = decodePolicies(policies)
  return read._tag === "None"
    ? Result.fail(new StoreError({ store: "PolicyStore", operation: "gate", problem: "integrity" }))
    : Result.succeed(demandOf(read.value, gate.kind))
}

/** The operators of the agent and of those above it, when it asked and now: changing them in between helps nobody. */
export const operatorsOf = ({ gate, operatorsNow }: GateView) => [...gate.operators, ...operatorsNow]

/** Judges a grant at the moment of its use: its MAC first, then the people behind it by the present policy. */
export const standingOf = (keys: GateKeys, deployment: string, view: GateView, demand: GateDemand): Standing => {
  const { gate } = view
  const { approvedHash, approvers, decisionMac, editedPayload, expiresAtMs, keyId, requestId } = gate
  if (gate.state !== "granted" || approvedHash === null || decisionMac === null) return { _tag: "Forged" }
  const payloadHash = editedPayload === null ? gate.actionHash : keys.actionHash(gate.kind, gate.agentId, editedPayload)
  const facts = {
    deployment,
    requestId,
    actionHash: approvedHash,
    decision: "granted",
    approvers,
    expiresAtMs
  } as const
  if (payloadHash !== approvedHash || !keys.isRowGenuine(keyId, facts, decisionMac)) return { _tag: "Forged" }
  const operators = operatorsOf(view)
  const people = eligible(demand, approvers).filter(
    (person) => !operators.some((one) => isSamePerson(one, personOf(person)))
  )
  if (operators.length === 0 || people.length < Math.max(gate.quorum, demand.quorum)) return { _tag: "Withdrawn" }
  return { _tag: "Good", approval: { requestId, mac: decisionMac, actionHash: approvedHash }, editedPayload }
}

const decodePolicies = Schema.decodeUnknownOption(Schema.Array(GatePolicy))
