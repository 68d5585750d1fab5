/** Requests and decisions for the suites of `GateStore` and `AdmissionStore`. MACs are made up: a store only compares them. */
import { Effect } from "effect"
import { ActionHash, type Gate, GateRequestId } from "../schema/GateRequest.ts"
import { type AgentId, KeyId, OperatorId } from "../schema/Ids.ts"
import { type GateDecision, type GateOpening, GateStore } from "../services/GateStore.ts"
import { enrolled } from "./StoreSet.ts"

export const ada = OperatorId.make("ada@example.org")
export const bob = OperatorId.make("bob@example.org")
export const hashA = ActionHash.make("a".repeat(64))
export const hashB = ActionHash.make("b".repeat(64))
export const newRequest = () => GateRequestId.make(globalThis.crypto.randomUUID())

export const opening = (agentId: AgentId, changes: Partial<GateOpening> = {}): GateOpening => ({
  requestId: newRequest(),
  root: agentId,
  agentId,
  sessionId: null,
  kind: "refund",
  actionHash: hashA,
  payload: `{"usd":"5"}`,
  keyId: KeyId.make("0".repeat(32)),
  quorum: 1,
  expiresAfterMs: 60_000,
  matchKey: "key",
  maxPending: 100,
  ...changes
})

export const decision = (gate: Gate, changes: Partial<GateDecision> = {}): GateDecision => ({
  requestId: gate.requestId,
  root: gate.root,
  decision: "granted",
  approver: ada,
  actionHash: gate.actionHash,
  editedPayload: null,
  mac: "mac",
  approvers: [ada],
  votes: 0,
  reviewer: undefined,
  ...changes
})

/** The request, made or found; a test that runs into the cap is wrong. */
export const open = Effect.fnUntraced(function* (wanted: GateOpening) {
  const store = yield* GateStore
  const opened = yield* store.open(wanted)
  return opened._tag === "Full" ? yield* Effect.die(new Error("full")) : opened.gate
})

/** A granted request of a new agent. */
export const granted = Effect.fnUntraced(function* (changes: Partial<GateOpening> = {}) {
  const store = yield* GateStore
  const agentId = yield* enrolled
  const gate = yield* open(opening(agentId, changes))
  yield* store.decide(decision(gate))
  return { agentId, gate, approval: { requestId: gate.requestId, mac: "mac", actionHash: gate.actionHash } }
})
