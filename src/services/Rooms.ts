import { Clock, Context, Duration, Effect, Layer } from "effect"
import { matches, type PolicyNotRegistered, type ScopeViolation } from "../schema/AgentScope.ts"
import type { Admission, Hold, Verdict } from "../schema/Call.ts"
import type { CallOptions, CallPlan } from "../schema/CallPlan.ts"
import { BudgetExceeded } from "../schema/Cost.ts"
import { ApprovalPending } from "../schema/Gate.ts"
import { type TicketId, ticketId } from "../schema/Ids.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import { LoopDetected, type LoopStep } from "../schema/Loop.ts"
import { detect } from "../schema/LoopDetection.ts"
import { type NanoUsd, zeroUsd } from "../schema/Money.ts"
import type { AgentHaltedError, Lineage } from "../schema/Presence.ts"
import type { UnknownModelError } from "../schema/Pricing.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AdmissionStore } from "./AdmissionStore.ts"
import { AgentScope } from "./AgentScope.ts"
import { Cost, type CostQuestion } from "./Cost.ts"
import { Evidence } from "./Evidence.ts"
import { Halts, haltedError } from "./Halts.ts"
import { Lineages } from "./Lineages.ts"
import { LoopWindow } from "./LoopWindow.ts"
import { Policies } from "./Policies.ts"
import { Settings } from "./Settings.ts"

/** Everything that can stop a call before it starts, each a typed error with a `recoveryHint`. */
export type Refusal =
  | AgentHaltedError
  | PolicyNotRegistered
  | ScopeViolation
  | UnknownModelError
  | ApprovalPending
  | BudgetExceeded
  | LoopDetected
  | InvalidInput
  | StoreError

/** A call that every room has let through, and what is held for it. */
export interface Admitted {
  readonly plan: CallPlan
  readonly ticket: TicketId
  readonly lineage: Lineage
  readonly heldUsd: NanoUsd
  readonly heldTokens: bigint
  /** True when the store did not answer and `costFailOpen` let the call run: there is no ticket row to settle. */
  readonly failOpen: boolean
}

/** The rooms of `design.md` 5 that exist, in their order. The only way from a wish to an admission. */
export class Rooms extends Context.Service<
  Rooms,
  {
    readonly pass: (plan: CallPlan, options: CallOptions, ticket: TicketId) => Effect.Effect<Admitted, Refusal>
    /**
     * The same in one synchronous step where nothing has to be waited for and nobody refuses; undefined otherwise, and then
     * `pass` decides, for the same ticket, so that what was counted here is not counted again.
     */
    readonly passNow: (
      plan: CallPlan,
      options: CallOptions,
      ticket: TicketId,
      clock: Clock.Clock
    ) => Admitted | undefined
  }
>()("effect-governance/services/Rooms") {}

export const make = Effect.gen(function* () {
  const halts = yield* Halts
  const lineages = yield* Lineages
  const scope = yield* AgentScope
  const policies = yield* Policies
  const cost = yield* Cost
  const admission = yield* AdmissionStore
  const evidence = yield* Evidence
  const window = yield* LoopWindow
  const settings = yield* Settings
  const services = yield* Effect.scope
  const leaseMs = Duration.toMillis(settings.leaseDuration)

  const release = (admitted: Admitted) =>
    Effect.ignore(admission.settle(admitted.lineage.root, admitted.ticket, { _tag: "Refused" }))

  /** Room 6 when the store does not answer and the operator has chosen to go on: last known halts, this process's own window. */
  const withoutStore = Effect.fnUntraced(function* (
    plan: CallPlan,
    ticket: TicketId,
    lineage: Lineage,
    error: StoreError
  ) {
    if (!settings.costFailOpen) return yield* error
    const policy = policies.get(plan.agentId, "loop")?.policy
    if (policy !== undefined && plan.target.kind !== "llm") {
      const now = yield* Clock.currentTimeMillis
      const count = window.count(
        plan.agentId,
        plan.sessionId,
        plan.target.name.toLowerCase(),
        policy.windowSeconds,
        now
      )
      if (count > policy.maxCalls && policy.action === "raise") {
        return yield* looping(plan, "count", count, policy.maxCalls, policy.windowSeconds)
      }
    }
    yield* Effect.logWarning("cost.fail_open", { agent: plan.agentId, call: plan.target.name, problem: error.problem })
    return { plan, ticket, lineage, heldUsd: zeroUsd, heldTokens: 0n, failOpen: true }
  })

  const repeats = (plan: CallPlan, recent: ReadonlyArray<LoopStep>) => {
    const policy = policies.get(plan.agentId, "loop")?.policy
    if (policy?.progress === undefined) return undefined
    return detect(recent, { signature: plan.signature, tool: plan.target.name }, policy.progress) ?? undefined
  }

  const answer = Effect.fnUntraced(function* (plan: CallPlan, admitted: Admitted, verdict: Verdict) {
    switch (verdict._tag) {
      case "Halted":
        halts.learn(verdict.halt)
        return yield* haltedError(plan.agentId, verdict.halt, "admission")
      case "Looping":
        return yield* looping(plan, "count", verdict.loop.count, verdict.loop.maxCalls, verdict.loop.windowSeconds)
      case "Short":
        return yield* new BudgetExceeded({
          agentId: plan.agentId,
          sessionId: plan.sessionId,
          requested: verdict.requested,
          ...verdict.short
        })
      case "Admitted": {
        if (verdict.loop !== null) {
          yield* Effect.logWarning("loop.detected", {
            agent: plan.agentId,
            call: plan.target.name,
            count: verdict.loop.count
          })
        }
        const found = repeats(plan, verdict.recent)
        if (found === undefined) return { ...admitted, heldUsd: verdict.heldUsd, heldTokens: verdict.heldTokens }
        yield* release(admitted)
        return yield* looping(plan, found.pattern, found.count, found.limit, 0)
      }
    }
  })

  const requestOf = (plan: CallPlan, ticket: TicketId, lineage: Lineage, hold: Hold): Admission => ({
    ticket,
    root: lineage.root,
    agentId: plan.agentId,
    sessionId: plan.sessionId,
    tool: plan.target.kind === "llm" ? null : plan.target.name.toLowerCase(),
    signature: plan.signature,
    hold,
    leaseMs,
    facts: {
      kind: plan.target.kind,
      name: plan.target.name,
      model: plan.target.kind === "llm" ? plan.target.model : null,
      inputHash: plan.inputHash
    }
  })

  const pass = Effect.fnUntraced(function* (plan: CallPlan, options: CallOptions, ticket: TicketId) {
    const { agentId, target } = plan
    // A stranger to this process is looked up first; while the store is silent the halt check still goes before any other answer.
    const placed = yield* Effect.exit(lineages.of(agentId))
    const lineage = placed._tag === "Success" ? placed.value : lineages.known(agentId)

    yield* halts.check(agentId, lineage.path, "governed call") // room 1
    const outOfScope = scope.room(agentId, lineage.path, target) // room 2
    if (outOfScope !== undefined) return yield* outOfScope
    const hold: Hold = yield* cost.hold(questionOf(plan, options)) // room 4
    if (target.kind === "tool" && needsApproval(policies, lineage, target.name)) {
      return yield* new ApprovalPending({ agentId, tool: target.name, requestId: null }) // room 5
    }

    // Room 6. The attempt joins the group commit while admission is on its way; only `audit: "required"` waits for it.
    const required = policies.get(agentId, "audit")?.policy.mode === "required"
    const admitted: Admitted = { plan, ticket, lineage, heldUsd: zeroUsd, heldTokens: 0n, failOpen: false }
    if (!required) yield* Effect.forkIn(evidence.attempt(plan, ticket), services, { startImmediately: true })
    const asked = policies.stored(lineage.path).pipe(
      Effect.andThen(() => admission.admit(requestOf(plan, ticket, lineage, hold))),
      Effect.flatMap((verdict) => answer(plan, admitted, verdict)),
      Effect.catchTag("StoreError", (error) => withoutStore(plan, ticket, lineage, error))
    )
    if (!required) return yield* asked
    const passed = yield* asked
    yield* Effect.tapError(evidence.requireAttempt(plan, ticket), () => release(passed))
    return passed
  })

  const passNow = (
    plan: CallPlan,
    options: CallOptions,
    ticket: TicketId,
    clock: Clock.Clock
  ): Admitted | undefined => {
    const { agentId, target } = plan
    const lineage = lineages.cached(agentId)
    if (admission.now === undefined || lineage === undefined || policies.pending()) return undefined
    if ("model" in options || options.maxUsd !== undefined) return undefined
    if (!halts.clear(lineage.path, clock.monotonicTimeNanosUnsafe())) return undefined
    if (scope.room(agentId, lineage.path, target) !== undefined || needsApproval(policies, lineage, target.name))
      return undefined
    if (policies.get(agentId, "audit")?.policy.mode === "required") return undefined
    const nowMs = clock.currentTimeMillisUnsafe()
    if (!evidence.attemptNow(plan, ticket, nowMs)) return undefined
    const verdict = admission.now.admit(requestOf(plan, ticket, lineage, nothingHeld), nowMs)
    if (verdict._tag !== "Admitted" || verdict.loop !== null || repeats(plan, verdict.recent) !== undefined)
      return undefined
    return { plan, ticket, lineage, heldUsd: verdict.heldUsd, heldTokens: verdict.heldTokens, failOpen: false }
  }

  return Rooms.of({ pass, passNow })
})

export const layer = Layer.effect(Rooms, make)

// Node's own generator keeps a stock of random bytes; asking the system for each ticket costs more than the ticket.
export const newTicket = (): TicketId => ticketId(crypto.randomUUID())

const nothingHeld: Hold = { _tag: "Exact", usd: zeroUsd, tokens: 0n }

const looping = (
  plan: CallPlan,
  pattern: LoopDetected["pattern"],
  count: number,
  limit: number,
  windowSeconds: number
) =>
  new LoopDetected({
    agentId: plan.agentId,
    sessionId: plan.sessionId,
    tool: plan.target.name,
    pattern,
    count,
    limit,
    windowSeconds
  })

const questionOf = (plan: CallPlan, options: CallOptions): CostQuestion =>
  "model" in options
    ? {
        model: options.model,
        ...(options.provider === undefined ? {} : { provider: options.provider }),
        inputTokens: plan.inputTokens,
        ...(options.maxTokens === undefined ? {} : { maxTokens: options.maxTokens })
      }
    : options.maxUsd === undefined
      ? free
      : { usd: options.maxUsd }

const free: CostQuestion = {}

/** An agent that delegated cannot be got around: a tool that it needs approval for needs it below as well. */
const needsApproval = (policies: Policies["Service"], lineage: Lineage, tool: string) =>
  lineage.path.some((agent) =>
    policies.get(agent, "gate")?.policy.requireApproval.some((pattern) => matches(pattern, tool))
  )
