import { Clock, Duration, Effect, Exit } from "effect"
import type { CallOptions, CallPlan } from "../schema/CallPlan.ts"
import {
  type CheckedCall,
  type Contract,
  type ContractPhase,
  ContractViolation,
  type PreCondition
} from "../schema/Contract.ts"
import type { EventId } from "../schema/Ids.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import type { AgentHaltedError, Lineage } from "../schema/Presence.ts"
import { StoreError } from "../schema/StoreError.ts"
import { AgentScope } from "./AgentScope.ts"
import { AuditStore } from "./AuditStore.ts"
import { Cost } from "./Cost.ts"
import { questionOf } from "./CostQuestion.ts"
import { within } from "./Deadline.ts"

/** A registered check: true when the condition holds. Whatever else comes of it, or nothing in time, is a violation (CON-06). */
export type CustomCheck = (call: CheckedCall) => Effect.Effect<boolean, unknown>

/** Whether a person has approved, or will be asked about, exactly this call. A question: it uses no approval up. */
export type Approved = (plan: CallPlan, options: CallOptions) => Effect.Effect<boolean, ConditionError>

/** A call as its contracts are asked about it. */
export interface Judged {
  readonly plan: CallPlan
  readonly options: CallOptions
  readonly path: Lineage["path"]
  readonly approved: Approved
  /** The audit row of the attempt; null where there is none to look for. */
  readonly attempt: EventId | null
  readonly result: unknown
  readonly resultHash: string | null
  /** For all conditions together. */
  readonly deadline: Duration.Duration
}

export type ConditionError = AgentHaltedError | InvalidInput | StoreError
type Problem = ContractViolation["problem"]

/** Judges conditions in their order, and fails at the first that does not hold. `customs` are the registered checks. */
export const make = Effect.fnUntraced(function* (customs: ReadonlyMap<string, CustomCheck>) {
  const scope = yield* AgentScope
  const cost = yield* Cost
  const store = yield* AuditStore

  const budgetAvailable = ({ options, plan }: Judged): Effect.Effect<boolean, ConditionError> =>
    cost.checkOrFail(plan.agentId, plan.sessionId, questionOf(plan, options)).pipe(
      Effect.as(true),
      // A tool names no model, and without the cost module there are no contracts: the last two would be a no all the same.
      Effect.catchTag(["BudgetExceeded", "UnknownModelError", "ModuleDisabledError"], () => Effect.succeed(false))
    )

  /** When a short call has ended its row may still be on its way, so it is looked for again for that many milliseconds. */
  const auditLogged = (
    attempt: EventId,
    plan: CallPlan,
    leftMs: number,
    waitMs = 5
  ): Effect.Effect<boolean, StoreError> =>
    Effect.flatMap(store.byId(attempt, plan.chain), (rows) => {
      if (rows.length > 0 || leftMs <= 0) return Effect.succeed(rows.length > 0)
      return Effect.delay(auditLogged(attempt, plan, leftMs - waitMs, waitMs * 2), Math.min(waitMs, leftMs))
    })

  /** Undefined: there is no such check for this phase. */
  const builtIn = (
    check: string,
    phase: ContractPhase,
    call: Judged,
    left: Duration.Duration
  ): Effect.Effect<boolean, ConditionError> | undefined => {
    switch (`${phase}:${check}`) {
      case "pre:hitl_approved":
        return call.approved(call.plan, call.options)
      case "pre:budget_available":
        return budgetAvailable(call)
      case "pre:scope_allowed":
        return Effect.sync(() => scope.room(call.plan.agentId, call.path, call.plan.target) === undefined)
      case "post:audit_logged":
        if (call.attempt === null) return Effect.succeed(false)
        // Half of the time: a row that is not there is told from a store that is silent.
        return auditLogged(call.attempt, call.plan, Duration.toMillis(left) / 2)
    }
    return undefined
  }

  /** Never fails: what a check of the host does is its own affair, and no reason to let a call through. */
  const custom = (
    contract: Contract,
    { params = {} }: PreCondition,
    call: Judged,
    left: Duration.Duration
  ): Effect.Effect<Problem | undefined> => {
    const check = typeof params.name === "string" ? customs.get(params.name) : undefined
    if (check === undefined) return Effect.succeed("unknown")
    const { options, plan, result, resultHash } = call
    const checked: CheckedCall = {
      agentId: plan.agentId,
      contractOf: contract.agentId,
      sessionId: plan.sessionId,
      tool: plan.target.name,
      params,
      input: options.input,
      result,
      inputHash: plan.inputHash,
      resultHash
    }
    const asked = Effect.suspend(() => {
      const answer = check(checked)
      // A program without types may give a function that returns something else, a promise for one.
      return Effect.isEffect(answer) ? answer : Effect.fail("no effect")
    })
    return Effect.match(
      within(Effect.exit(asked), left, () => "late" as const),
      {
        onFailure: (late): Problem => late,
        onSuccess: (exit) => (Exit.isFailure(exit) ? "threw" : exit.value === true ? undefined : "false")
      }
    )
  }

  const problemOf = (
    contract: Contract,
    condition: PreCondition,
    phase: ContractPhase,
    call: Judged,
    left: Duration.Duration
  ): Effect.Effect<Problem | undefined, ConditionError> => {
    if (condition.check === "custom") return custom(contract, condition, call, left)
    const holds = builtIn(condition.check, phase, call, left)
    if (holds === undefined) return Effect.succeed("unknown")
    return Effect.map(within(holds, left, tooLate), (is) => (is ? undefined : "false"))
  }

  const violation = (
    contract: Contract,
    { check, message, params }: PreCondition,
    phase: ContractPhase,
    { plan }: Judged,
    problem: Problem
  ) =>
    new ContractViolation({
      agentId: plan.agentId,
      tool: plan.target.name,
      phase,
      check,
      custom: check === "custom" && typeof params?.name === "string" ? params.name : null,
      says: message,
      problem,
      contractOf: contract.agentId
    })

  const judge = Effect.fnUntraced(function* (
    contracts: ReadonlyArray<Contract>,
    phase: ContractPhase,
    call: Judged,
    unanswered: (error: ConditionError) => Effect.Effect<Problem, ConditionError>
  ) {
    const began = yield* Clock.monotonicTimeNanos
    for (const contract of contracts) {
      for (const condition of contract[phase] ?? []) {
        const spent = Duration.nanos((yield* Clock.monotonicTimeNanos) - began)
        const left = Duration.max(Duration.subtract(call.deadline, spent), Duration.zero)
        const problem = yield* Effect.catch(problemOf(contract, condition, phase, call, left), unanswered)
        if (problem !== undefined) return yield* violation(contract, condition, phase, call, problem)
      }
    }
  })

  return {
    /** A silent store and a halt are told as what they are: nothing has run yet. */
    pre: (contracts: ReadonlyArray<Contract>, call: Judged): Effect.Effect<void, ContractViolation | ConditionError> =>
      judge(contracts, "pre", call, Effect.fail),
    /** The call has run: no error may look as if it had not. */
    post: (contracts: ReadonlyArray<Contract>, call: Judged): Effect.Effect<void, ContractViolation> =>
      judge(contracts, "post", call, () => Effect.succeed<Problem>("unanswered")).pipe(
        Effect.catchTag(["AgentHaltedError", "InvalidInput", "StoreError"], Effect.die)
      )
  }
})

const tooLate = () => StoreError.because({ store: "Contracts", operation: "check", problem: "deadline" }, undefined)
