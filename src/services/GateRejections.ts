import { Config, DateTime, Effect, Option } from "effect"
import { canonicalize } from "../schema/CanonicalJson.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { escape } from "../schema/Escape.ts"
import type { ApprovalTokenError, TokenVersionTooOldError } from "../schema/Gate.ts"
import type { Gate } from "../schema/GateRequest.ts"
import { chainOf, EventId, type OperatorId, operatorChain } from "../schema/Ids.ts"
import { machinery } from "../schema/OperatorDraft.ts"
import type { Audit } from "./Audit.ts"
import type { GateKeys } from "./GateKeys.ts"

type Rejection = ApprovalTokenError | TokenVersionTooOldError

/**
 * Records an attempt that was not accepted (GAT-02), then fails with it. It goes to the agent's chain where the token was
 * genuine, else to the operator's. The token itself is recorded as its hash alone (T-11).
 */
export const rejection =
  (audit: Audit["Service"], keys: GateKeys) =>
  <E extends Rejection>(gate: Gate | null, by: OperatorId, token: unknown, error: E): Effect.Effect<never, E> => {
    const problem = error._tag === "ApprovalTokenError" ? error.problem : "too_old"
    const facts = {
      by,
      problem,
      token: keys.hashHex(typeof token === "string" ? token.slice(0, 1000).toWellFormed() : "")
    }
    const rejected = Effect.clockWith((clock) =>
      audit.submit({
        chain: gate === null ? operatorChain : chainOf(gate.agentId, gate.sessionId),
        id: EventId.make(crypto.randomUUID()),
        atMs: clock.currentTimeMillisUnsafe(),
        agent: gate?.agentId ?? machinery,
        session: gate?.sessionId ?? null,
        parent: null,
        kind: "approval.token_rejected",
        model: null,
        inputHash: null,
        outputHash: null,
        metadataText: canonicalize(
          escape(gate === null ? facts : { ...facts, request: gate.requestId, action: gate.kind })
        )
      })
    )
    return Effect.andThen(rejected, Effect.fail(error))
  }

/** Whose events those are that belong to no agent. */

/** The end of version 1, in milliseconds (GAT-07, CFG-11). */
export const acceptV1Until = Config.option(Config.String("GOVERNANCE_GATES_ACCEPT_V1_UNTIL")).pipe(
  Effect.map(Option.getOrElse(() => "2026-07-17T00:00:00.000Z")),
  Effect.map((text) => DateTime.make(text)),
  Effect.flatMap(Option.match({ onNone: () => Effect.fail(undefined), onSome: (at) => Effect.succeed(at) })),
  Effect.map((at) => DateTime.toEpochMillis(at)),
  Effect.mapError(
    () => new ConfigurationError({ setting: "GOVERNANCE_GATES_ACCEPT_V1_UNTIL", problem: "must be an ISO date" })
  )
)
