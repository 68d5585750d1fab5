import { Clock, Context, Duration, Effect, Layer } from "effect"
import { Hex } from "effect/encoding"
import type { Admitted } from "../schema/Admitted.ts"
import type { ScopeTarget } from "../schema/AgentScope.ts"
import { type CallOptions, type CallPlan, hashOfResult } from "../schema/CallPlan.ts"
import type { ContractViolation } from "../schema/Contract.ts"
import { eventOfTicket } from "../schema/Ids.ts"
import type { Lineage } from "../schema/Presence.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { ContractBook } from "./ContractBook.ts"
import type { Approved, ConditionError } from "./ContractChecks.ts"
import { Settings } from "./Settings.ts"

/** Rooms 3 and 8 of a governed call: the contracts that bind its agent, before and after the call. */
export class ContractRoom extends Context.Service<
  ContractRoom,
  {
    /**
     * False, and then both rooms let the call through, for whatever is no tool with a contract on the path. Synchronous and
     * cheap. A path of null is not known: then a contract of anybody's counts.
     */
    readonly covers: (path: Lineage["path"] | null, target: ScopeTarget) => boolean
    /**
     * Room 3. `approved` says whether room 5 will ask a person about this call, or use up an approval of it (DEC-09). The
     * refusal itself is written by whoever refuses the call.
     */
    readonly before: (asked: {
      readonly plan: CallPlan
      readonly options: CallOptions
      readonly lineage: Lineage
      /** The store did not place the agent: contracts above it may be missing, so the call is not let through. */
      readonly trouble: StoreError | null
      readonly approved: Approved
      /** When the call's one deadline began, on the monotonic clock. */
      readonly began: bigint
    }) => Effect.Effect<void, ContractViolation | ConditionError>
    /** Room 8, for a call that succeeded. A violation is audited as `contract.post_violation`. */
    readonly after: (
      admitted: Admitted,
      options: CallOptions,
      result: unknown
    ) => Effect.Effect<void, ContractViolation>
  }
>()("effect-governance/services/ContractRoom") {}

export const make = Effect.gen(function* () {
  const book = yield* ContractBook
  const audit = yield* Audit
  const settings = yield* Settings
  const { hash } = yield* ChainKeys
  const hashHex = (text: string) => Hex.encode(hash(text))

  return ContractRoom.of({
    covers: (path, target) =>
      target.kind === "tool" && book.knows(target.name) && (path === null || book.along(path, target.name).length > 0),
    before: ({ approved, began, lineage, options, plan, trouble }) =>
      trouble !== null
        ? Effect.fail(trouble)
        : Effect.flatMap(Clock.monotonicTimeNanos, (now) =>
            book.pre(book.along(lineage.path, plan.target.name), {
              ...{ plan, options, path: lineage.path, approved, attempt: null, result: undefined, resultHash: null },
              deadline: Duration.subtract(settings.enforcementDeadline, Duration.nanos(now - began))
            })
          ),
    after: ({ lineage, plan, ticket }, options, result) => {
      const attempt = eventOfTicket(ticket, "attempt")
      return book
        .post(book.along(lineage.path, plan.target.name), {
          ...{ plan, options, path: lineage.path, approved: () => Effect.succeed(false), attempt, result },
          resultHash: hashOfResult(result, hashHex),
          deadline: settings.enforcementDeadline
        })
        .pipe(Effect.tapError((violation) => Effect.ignore(audit.log(violationRow(plan, violation, attempt)))))
    }
  })
})

export const layer = Layer.effect(ContractRoom, make)

/** Contracts rest on scope and cost: without both there are none (ENT-07). */
export const layerOff = Layer.succeed(
  ContractRoom,
  ContractRoom.of({ covers: () => false, before: () => Effect.void, after: () => Effect.void })
)

/** The audit row of a violation. */
export const violationRow = (
  { agentId, inputHash, sessionId }: CallPlan,
  violation: ContractViolation,
  parentEventId: string | undefined
) => ({
  kind: `contract.${violation.phase}_violation`,
  agentId,
  sessionId: sessionId ?? undefined,
  parentEventId,
  inputHash: inputHash ?? undefined,
  metadata: { ...violation.facts, tool: violation.tool }
})
