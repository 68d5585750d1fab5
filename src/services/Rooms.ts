import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { Admitted } from "../schema/Admitted.ts"
import type { Hold, UsedApproval, Verdict } from "../schema/Call.ts"
import type { CallOptions, CallPlan } from "../schema/CallPlan.ts"
import { BudgetExceeded } from "../schema/Cost.ts"
import { ApprovalDenied } from "../schema/Gate.ts"
import { type TicketId, ticketId } from "../schema/Ids.ts"
import type { LoopStep } from "../schema/Loop.ts"
import { detect } from "../schema/LoopDetection.ts"
import { zeroUsd } from "../schema/Money.ts"
import { looping, type Refusal } from "../schema/Refusal.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { admissionsOf } from "./AdmissionRequest.ts"
import { AdmissionStore } from "./AdmissionStore.ts"
import { AgentScope } from "./AgentScope.ts"
import type { Approved } from "./ContractChecks.ts"
import { ContractRoom } from "./ContractRoom.ts"
import { Cost } from "./Cost.ts"
import { questionOf } from "./CostQuestion.ts"
import { within } from "./Deadline.ts"
import { Evidence } from "./Evidence.ts"
import * as FailOpen from "./FailOpen.ts"
import { GateRoom } from "./GateRoom.ts"
import { Gates } from "./Gates.ts"
import { Halts, haltedError } from "./Halts.ts"
import * as Handback from "./Handback.ts"
import { Identity } from "./Identity.ts"
import { Lineages } from "./Lineages.ts"
import { LoopWindow } from "./LoopWindow.ts"
import { Policies } from "./Policies.ts"
import { Settings } from "./Settings.ts"
import { standing } from "./Standing.ts"

export type Restore = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** The rooms of `design.md` 5 that exist, in their order. The only way from a wish to an admission. */
export class Rooms extends Context.Service<
  Rooms,
  {
    /** MUST be run uninterruptibly; `restore` covers what has to wait, so that a hold is never left without an owner. */
    readonly pass: (
      plan: CallPlan,
      options: CallOptions,
      ticket: TicketId,
      restore: Restore
    ) => Effect.Effect<Admitted, Refusal>
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
  const contracts = yield* ContractRoom
  const cost = yield* Cost
  const gates = yield* GateRoom
  const approvals = yield* Gates
  const admission = yield* AdmissionStore
  const evidence = yield* Evidence
  const window = yield* LoopWindow
  const failOpen = yield* FailOpen.make
  const settings = yield* Settings
  const identity = yield* Identity
  const services = yield* Effect.scope
  const { giveBack, release } = yield* Handback.make
  const admissionOf = admissionsOf(settings)
  const deadlineNs = Duration.toNanosUnsafe(settings.enforcementDeadline)
  const stand = standing(lineages, halts)

  const withoutStore = (admitted: Admitted, error: StoreError) =>
    Effect.as(failOpen(admitted.plan, error), { ...admitted, failOpen: true })

  const repeats = (plan: CallPlan, recent: ReadonlyArray<LoopStep>) => {
    const policy = settings.enableLoop ? policies.get(plan.agentId, "loop")?.policy : undefined
    if (policy?.progress === undefined) return undefined
    return detect(recent, { signature: plan.signature, tool: plan.target.name }, policy.progress) ?? undefined
  }

  const answer = Effect.fnUntraced(function* (
    plan: CallPlan,
    admitted: Admitted,
    verdict: Verdict,
    approval?: UsedApproval
  ) {
    switch (verdict._tag) {
      case "Unapproved": {
        const requestId = approval?.requestId ?? null
        return yield* new ApprovalDenied({ agentId: plan.agentId, tool: plan.target.name, requestId, problem: "used" })
      }
      case "Halted":
        halts.learn(verdict.halt)
        return yield* haltedError(plan.agentId, verdict.halt, "admission")
      case "Looping":
        return yield* looping(plan, "count", verdict.loop.count, verdict.loop.maxCalls, verdict.loop.windowSeconds)
      case "Short":
        // With the cost module off a stored cap refuses nothing; the refused ticket is then no ticket.
        if (!settings.enableCost && approval === undefined) return { ...admitted, failOpen: true }
        return yield* new BudgetExceeded({
          agentId: plan.agentId,
          sessionId: plan.sessionId,
          requested: verdict.requested,
          ...verdict.short
        })
      case "Admitted": {
        if (approval !== undefined) yield* gates.used(plan, admitted.ticket, approval)
        if (verdict.loop !== null) {
          yield* evidence.looped(plan, admitted.ticket, verdict.loop)
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

  /** The store has counted the call; should it fall silent, this process's own window goes on from here (section 39). */
  const countLocally = ({ agentId, sessionId, target }: CallPlan) => {
    const policy = settings.enableLoop ? policies.get(agentId, "loop")?.policy : undefined
    return policy === undefined || target.kind === "llm"
      ? Effect.void
      : window.count(agentId, sessionId, target.name.toLowerCase(), policy.windowSeconds)
  }

  const granted: Approved = (plan, options) =>
    Effect.catchTag(approvals.approvedFor(plan, options), "ModuleDisabledError", () => Effect.succeed(false))

  const pass = Effect.fnUntraced(function* (plan: CallPlan, options: CallOptions, ticket: TicketId, restore: Restore) {
    const { agentId, target } = plan
    const clock = yield* Clock.Clock
    let began = clock.monotonicTimeNanosUnsafe()
    const { trouble } = yield* restore(stand(agentId, "governed call")) // room 1
    const lineage = lineages.known(agentId)
    const outOfScope = scope.room(agentId, lineage.path, target) // room 2
    if (outOfScope !== undefined) return yield* outOfScope
    const cannotSign = identity.refusal(agentId)
    if (cannotSign !== null) return yield* cannotSign
    const covered = contracts.covers(trouble === null ? lineage.path : null, target)
    let usesGrant = false
    const asks = () => usesGrant || gates.isNeeded(plan, options, lineage)
    if (covered) {
      // An approval that is there already counts only for a call that uses it up: then it passes room 5 as well.
      const approved = () => (asks() ? yes() : Effect.map(granted(plan, options), (is) => (usesGrant = is)))
      yield* restore(contracts.before({ plan, options, lineage, trouble, approved, began })) // room 3
    }
    const hold: Hold = yield* cost.hold(questionOf(plan, options)) // room 4
    let approval: UsedApproval | undefined
    if (asks()) {
      approval = yield* restore(gates.pass(plan, options, lineage)) // room 5
      // Hours may have passed: scope and contracts may say something else, and the deadline of the store begins now.
      const since = scope.room(agentId, lineage.path, target)
      if (since !== undefined) return yield* since
      began = clock.monotonicTimeNanosUnsafe()
      if (covered) yield* restore(contracts.before({ plan, options, lineage, trouble, approved: yes, began }))
    }

    // Room 6. The attempt joins the group commit while admission is on its way; only `audit: "required"` waits for it.
    const required = policies.get(agentId, "audit")?.policy.mode === "required"
    // Until admission says what it holds, the worst case stands: it is what a call without a store is charged.
    const { usd: heldUsd, tokens: heldTokens } = hold._tag === "Exact" ? hold : nothingHeld
    const admitted: Admitted = { plan, ticket, lineage, heldUsd, heldTokens, failOpen: false }
    if (!required) yield* Effect.forkIn(evidence.attempt(plan, ticket), services, { startImmediately: true })
    // A store that has just not placed the agent is not asked again; and nobody knows whose caps to hold on.
    // What a person has approved runs once, and without the store nobody can tell: then it does not run (BEY-02).
    const noStore = (error: StoreError) => (approval === undefined ? withoutStore(admitted, error) : Effect.fail(error))
    if (trouble !== null) return yield* noStore(trouble)
    // One deadline for the whole call: what the halts took is gone (U-12).
    const left = deadlineNs - (clock.monotonicTimeNanosUnsafe() - began)
    if (left <= 0n) return yield* noStore(Handback.tooLate())
    // From here on money may be held: whoever leaves without a running call gives it back.
    const admitting = policies
      .stored(lineage.path)
      .pipe(Effect.andThen(() => admission.admit(admissionOf(plan, ticket, lineage, hold, approval))))
    const passed = yield* restore(within(admitting, Duration.nanos(left), Handback.tooLate)).pipe(
      Effect.onError((cause) => (Handback.isUnknown(cause) ? giveBack(admitted) : Effect.void)),
      Effect.tap(() => countLocally(plan)),
      Effect.flatMap((verdict) => answer(plan, admitted, verdict, approval)),
      Effect.catchTag("StoreError", noStore)
    )
    if (required) yield* Effect.onError(restore(evidence.requireAttempt(plan, ticket)), () => giveBack(passed))
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
    if (scope.room(agentId, lineage.path, target) !== undefined || gates.isNeeded(plan, options, lineage))
      return undefined
    if (contracts.covers(lineage.path, target)) return undefined
    if (policies.get(agentId, "audit")?.policy.mode === "required" || identity.refusal(agentId) !== null)
      return undefined
    const nowMs = clock.currentTimeMillisUnsafe()
    if (!evidence.attemptNow(plan, ticket, nowMs)) return undefined
    const verdict = admission.now.admit(admissionOf(plan, ticket, lineage, nothingHeld), nowMs)
    if (verdict._tag !== "Admitted" || verdict.loop !== null || repeats(plan, verdict.recent) !== undefined)
      return undefined
    return { plan, ticket, lineage, heldUsd: verdict.heldUsd, heldTokens: verdict.heldTokens, failOpen: false }
  }

  return Rooms.of({ pass, passNow })
})

export const layer = Layer.effect(Rooms, make)

// Node's own generator keeps a stock of random bytes; asking the system for each ticket costs more than the ticket.
export const newTicket = (): TicketId => ticketId(crypto.randomUUID())

const yes = () => Effect.succeed(true)
const nothingHeld = { _tag: "Exact", usd: zeroUsd, tokens: 0n } satisfies Hold
