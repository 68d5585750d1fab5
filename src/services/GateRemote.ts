import { Effect, Result } from "effect"
import type { GateRequestId } from "../schema/GateRequest.ts"
import { remotePerson } from "../schema/RemotePerson.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { GateDecisions } from "./GateDecisions.ts"
import type { RemoteDecision, RemoteOutcome } from "./GateRelay.ts"
import type { GateRequests } from "./GateRequests.ts"
import { demandNow } from "./GateVerdict.ts"

/**
 * Makes a decision from elsewhere one of this database, by the rules for a decision made here: the request is known, open and
 * for the action that was shown, and the person is one who may (FWD-12, INV-7). Where the policy says `approvals: "local"`
 * nothing of it counts (DEC-19).
 */
export const applying =
  ({ read, tokenOf }: Pick<GateRequests["Service"], "read" | "tokenOf">, decisions: GateDecisions["Service"]) =>
  (requestId: GateRequestId, remote: RemoteDecision): Effect.Effect<RemoteOutcome, StoreError> =>
    Effect.gen(function* () {
      const view = yield* read(requestId)
      if (view === null) return "refused"
      const { gate } = view
      if (gate.state !== "pending") return "overtaken"
      const by = remotePerson(remote.by)
      const demand = demandNow(view)
      if (by === null || gate.actionHash !== remote.actionHash) return "refused"
      if (Result.isFailure(demand) || demand.success.approvals === "local") return "refused"
      const token = yield* tokenOf(gate)
      if (token === undefined) return "refused"
      yield* decisions.remote(token, remote.decision, by)
      return "applied" as const
    }).pipe(
      Effect.catchTag("ApprovalTokenError", ({ problem }) =>
        Effect.succeed(problem === "resolved" ? ("overtaken" as const) : ("refused" as const))
      ),
      Effect.catchTag(["TokenVersionTooOldError", "InvalidInput", "ModuleDisabledError"], () =>
        Effect.succeed("refused" as const)
      )
    )
