import { Context, Duration, Effect, Layer, Result } from "effect"
import { payloadOf } from "../schema/ActionHash.ts"
import type { EventIdConflict, InvalidAuditEvent } from "../schema/AuditError.ts"
import { ApprovalTokenError, TokenVersionTooOldError } from "../schema/Gate.ts"
import { eventOfGate, type Gate, GateRequestId } from "../schema/GateRequest.ts"
import { type GateToken, parseToken } from "../schema/GateToken.ts"
import { normaliseReason } from "../schema/HaltReason.ts"
import { AgentId, OperatorId } from "../schema/Ids.ts"
import { isoOf } from "../schema/Instant.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import { isRemote } from "../schema/RemotePerson.ts"
import { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { askedOf } from "./Deadline.ts"
import { deploymentOf } from "./Deployment.ts"
import type { GateAct, GateActError, GateResolution, ListedGate } from "./GateAct.ts"
import { decisionOf, refusal } from "./GateAction.ts"
import * as GateKeys from "./GateKeys.ts"
import { acceptV1Until, rejection } from "./GateRejections.ts"
import { type GateDecision, GateStore } from "./GateStore.ts"
import { Settings } from "./Settings.ts"
import { Signal } from "./Signal.ts"
import { StoreTransaction } from "./StoreTransaction.ts"

/** What people do about requests: look at them, grant, deny, claim. Needs no policies in memory, so a terminal has it too. */
export class GateDecisions extends Context.Service<
  GateDecisions,
  {
    /**
     * Takes one person's approval; with the last that is needed the request is granted, in one transaction with its audit row
     * (V8-04). `arguments` replaces what the agent asked for: its hash, not the old one, may run then (BEY-10).
     */
    readonly grant: (
      token: string,
      act: GateAct & { readonly arguments?: unknown }
    ) => Effect.Effect<GateResolution, GateActError>
    readonly deny: (token: string, act: GateAct) => Effect.Effect<GateResolution, GateActError>
    /** What a person has decided in an inbox elsewhere; `by` is a `remotePerson`, whom nobody can be here. */
    readonly remote: (
      token: string,
      decision: "granted" | "denied",
      by: OperatorId
    ) => Effect.Effect<GateResolution, GateActError>
    /** Requests with the token that decides each; null where this process lacks the key, or somebody has changed the row. */
    readonly list: (query?: {
      readonly agentId?: string | undefined
      readonly which?: "pending" | "granted" | "all" | undefined
      readonly limit?: number | undefined
    }) => Effect.Effect<ReadonlyArray<ListedGate>, InvalidInput | StoreError | ModuleDisabledError>
    /** Moves the claim on a request; false when somebody was faster (GAT-10). `to` null gives it back: `approval.escalated`. */
    readonly claim: (
      requestId: string,
      change: { readonly by: string; readonly from: string | null; readonly to: string | null }
    ) => Effect.Effect<boolean, GateActError>
  }
>()("effect-governance/services/GateDecisions") {}

export const make = Effect.gen(function* () {
  const store = yield* GateStore
  const transaction = yield* StoreTransaction
  const audit = yield* Audit
  const signal = yield* Signal
  const settings = yield* Settings
  const keys = yield* GateKeys.make
  const acceptedUntil = yield* acceptV1Until
  const asked = askedOf("GateStore", Duration.times(settings.enforcementDeadline, 5))
  const where = asked("deploymentId", deploymentOf(settings, store))
  const reject = rejection(audit, keys)

  /** A token that is genuine; whatever else fails in one way, and is recorded. */
  const genuine = Effect.fnUntraced(function* (text: string, by: OperatorId) {
    const token = Result.getOrElse(
      typeof text === "string" ? parseToken(text) : Result.fail("malformed"),
      () => undefined
    )
    const deployment = yield* where
    if (token === undefined || !keys.isGenuine(token, deployment)) {
      return yield* reject(null, by, text, new ApprovalTokenError({ problem: "not_accepted", state: null }))
    }
    if (token.version === 1) {
      if ((yield* asked("nowMs", store.nowMs)) >= acceptedUntil) {
        return yield* reject(null, by, text, new TokenVersionTooOldError({ acceptedUntil: isoOf(acceptedUntil) }))
      }
      yield* Effect.logWarning("gates.legacy_token_parsed", { request: token.requestId })
    }
    return { token, deployment }
  })

  const view = Effect.fnUntraced(function* (token: GateToken, by: OperatorId, text: string) {
    const found = yield* asked("read", store.read(token.requestId))
    const same =
      found !== null &&
      found.gate.actionHash === token.actionHash &&
      isoOf(found.gate.expiresAtMs) === token.expiresAt &&
      keys.isAsShown(found.gate)
    if (same) return found
    // Genuine, and for no request as it is stored: somebody changed the row, or it is long gone.
    return yield* reject(
      found?.gate ?? null,
      by,
      text,
      new ApprovalTokenError({ problem: "not_accepted", state: null })
    )
  })

  const commit = (gate: Gate, made: GateDecision, missing: number, reason: string) =>
    Effect.uninterruptibleMask((restore) =>
      restore(
        asked(
          "decide",
          transaction.run(
            Effect.tap(store.decide(made), (result) =>
              result._tag === "Decided" ? record(gate, made, missing, reason) : Effect.void
            )
          )
        )
        // What is committed is made known, also when whoever decided has gone meanwhile.
      ).pipe(
        Effect.tap((result) => (result._tag === "Decided" ? signal.publish("gates", gate.requestId) : Effect.void))
      )
    )

  const record = (gate: Gate, made: GateDecision, missing: number, reason: string) =>
    required(
      audit.requireInTransaction({
        kind: made.decision === "vote" ? "approval.voted" : `approval.${made.decision}`,
        ...(made.decision === "vote" ? {} : { id: eventOfGate(gate.requestId, made.decision) }),
        agentId: gate.agentId,
        sessionId: gate.sessionId ?? undefined,
        parentEventId: eventOfGate(gate.requestId, "requested"),
        metadata: {
          request: gate.requestId,
          action: gate.kind,
          actionHash: gate.actionHash,
          by: made.approver,
          reason,
          ...(made.decision === "vote" ? { missing } : { approvers: made.approvers }),
          ...(made.editedPayload === null ? {} : { editedTo: made.actionHash })
        }
      })
    )

  const decide = Effect.fnUntraced(function* (
    text: string,
    decision: "granted" | "denied",
    act: GateAct & { readonly arguments?: unknown }
  ) {
    const by = yield* person(act.by)
    const reason = normaliseReason(String(act.reason ?? ""))
    const reviewer = typeof act.claimedBy === "string" ? yield* person(act.claimedBy) : act.claimedBy
    const edited =
      act.arguments === undefined ? null : yield* Effect.fromResult(payloadOf(act.arguments, keys.binding()))
    const { deployment, token } = yield* genuine(text, by)
    for (let turn = 0; ; turn++) {
      const found = yield* view(token, by, text)
      const { gate } = found
      if (turn === 0 && token.version === 1) yield* legacy(gate)
      const made = decisionOf(keys, { found, deployment, by, decision, edited, reviewer })
      if (Result.isFailure(made)) {
        return yield* made.failure._tag === "StoreError" ? made.failure : reject(gate, by, text, made.failure)
      }
      const decided = made.success
      const result = yield* commit(gate, decided.made, decided.missing, reason)
      switch (result._tag) {
        case "Decided": {
          const state: GateResolution["state"] = decided.made.decision === "vote" ? "pending" : decided.made.decision
          return { requestId: gate.requestId, agentId: gate.agentId, kind: gate.kind, state, missing: decided.missing }
        }
        case "Moved":
          if (act.claimedBy === undefined && turn < 20) continue
          return yield* reject(gate, by, text, refusal("moved"))
        case "Expired":
          return yield* reject(gate, by, text, refusal("expired"))
        case "Resolved":
          return yield* reject(gate, by, text, refusal("resolved", result.state))
      }
    }
  })

  const isDecidable = (gate: Gate) => gate.state === "pending" && keys.isAsShown(gate)

  const legacy = ({ agentId, requestId, sessionId }: Gate) =>
    audit.note({
      kind: "gates.legacy_token_parsed",
      agentId,
      sessionId: sessionId ?? undefined,
      metadata: { request: requestId }
    })

  return GateDecisions.of({
    grant: Effect.fn("GateDecisions.grant")((token, act) =>
      Effect.andThen(isHere(act.by), decide(token, "granted", act))
    ),
    deny: Effect.fn("GateDecisions.deny")((token, act) =>
      Effect.andThen(isHere(act.by), decide(token, "denied", { ...act, arguments: undefined }))
    ),
    remote: Effect.fn("GateDecisions.remote")((token, decision, by) => decide(token, decision, { by })),
    list: Effect.fn("GateDecisions.list")(function* ({ agentId, limit = 500, which = "pending" } = {}) {
      const agent = agentId === undefined ? null : yield* decodeArgument(AgentId, "agentId", agentId)
      const deployment = yield* where
      const found = yield* asked("list", store.list({ agentId: agent, which, limit }))
      return found.map((listed) => ({
        ...listed,
        token: isDecidable(listed.gate) ? (keys.tokenOf(listed.gate, deployment) ?? null) : null
      }))
    }),
    claim: Effect.fn("GateDecisions.claim")(function* (id, { by, from, to }) {
      const requestId = yield* decodeArgument(GateRequestId, "requestId", id)
      const who = yield* person(by)
      const [before, after] = [from === null ? null : yield* person(from), to === null ? null : yield* person(to)]
      const found = yield* asked("read", store.read(requestId))
      if (found === null) return false
      const { agentId, kind, root, sessionId } = found.gate
      const event = {
        kind: after === null ? "approval.escalated" : "approval.claimed",
        agentId,
        sessionId: sessionId ?? undefined,
        parentEventId: eventOfGate(requestId, "requested"),
        metadata: { request: requestId, action: kind, by: who, from: before, to: after }
      }
      return yield* asked(
        "claim",
        transaction.run(
          Effect.tap(store.claim(root, requestId, before, after), (moved) =>
            moved ? required(audit.requireInTransaction(event)) : Effect.void
          )
        )
      )
    })
  })
})

export const layer = Layer.effect(GateDecisions, make)

const person = (value: unknown) => decodeArgument(OperatorId, "by", value)

/** Nobody here passes for somebody of whom a platform has told us. */
const isHere = (by: unknown) =>
  typeof by === "string" && isRemote(by)
    ? Effect.fail(new InvalidInput({ field: "by", problem: "is the name of a person on a platform" }))
    : Effect.void

/** An act whose row cannot be written is not done. */
const required = <A>(self: Effect.Effect<A, InvalidAuditEvent | EventIdConflict | StoreError>) =>
  Effect.catchTag(self, ["InvalidAuditEvent", "EventIdConflict"], (error) =>
    Effect.fail(StoreError.because({ store: "AuditStore", operation: "require", problem: "integrity" }, error))
  )
