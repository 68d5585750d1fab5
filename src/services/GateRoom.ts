import { Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { type ActionPayload, payloadOf } from "../schema/ActionHash.ts"
import type { UsedApproval } from "../schema/Call.ts"
import type { ApprovalOptions, CallOptions, CallPlan } from "../schema/CallPlan.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import { escape, type SealMark } from "../schema/Escape.ts"
import { ApprovalDenied, ApprovalPending, ApprovalTimeout } from "../schema/Gate.ts"
import { eventOfGate, type Gate, GateRequestId } from "../schema/GateRequest.ts"
import type { TicketId } from "../schema/Ids.ts"
import { isoOf } from "../schema/Instant.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { Lineage } from "../schema/Presence.ts"
import type { Refusal } from "../schema/Refusal.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import { Cost } from "./Cost.ts"
import { questionOf } from "./CostQuestion.ts"
import { GateRequests } from "./GateRequests.ts"
import type { GateView } from "./GateStore.ts"
import { needsPerson } from "./NeedsPerson.ts"
import { Policies } from "./Policies.ts"
import { Settings } from "./Settings.ts"
import { SubjectKeys } from "./SubjectKeys.ts"

/** Room 5: a person between an agent and its act. The caller waits here and holds nothing. */
export class GateRoom extends Context.Service<
  GateRoom,
  {
    /** By the policies in memory, of the agent and of all above it: a delegate cannot get around what its delegator needs. */
    readonly isNeeded: (plan: CallPlan, options: CallOptions, lineage: Lineage) => boolean
    /** The approval of exactly this call, for admission to use up. May wait for hours. */
    readonly pass: (plan: CallPlan, options: CallOptions, lineage: Lineage) => Effect.Effect<UsedApproval, Refusal>
    /** Writes the row that says which call used the approval; admission has committed that already. */
    readonly used: (plan: CallPlan, ticket: TicketId, approval: UsedApproval) => Effect.Effect<void>
    /** Ends, with its row, what nobody has decided in its time, whether anybody waits for it or not. Returns how many. */
    readonly endOverdue: Effect.Effect<number, StoreError>
  }
>()("effect-governance/services/GateRoom") {}

const isNeededBy =
  (policies: Policies["Service"]) =>
  ({ target }: CallPlan, { approval }: CallOptions, { path }: Lineage): boolean =>
    needsPerson(policies, path, target, approval)

export const make = Effect.gen(function* () {
  const requests = yield* GateRequests
  const policies = yield* Policies
  const cost = yield* Cost
  const audit = yield* Audit
  const settings = yield* Settings
  const subjects = yield* SubjectKeys
  const { keys } = requests

  const changed = new InvalidInput({ field: "input", problem: "changed while it was read: pass a value that stays" })

  /** What would run now, read from the caller's own value: it may have changed since the plan was made (T-06). */
  const actionOf = ({ agentId, target }: CallPlan, { input }: CallOptions, bind: SealMark) =>
    Effect.map(Effect.fromResult(payloadOf(input, bind)), (payload) => ({
      payload,
      hash: keys.actionHash(target.name, agentId, payload.bound)
    }))

  /** Fails where the plan, which the log and the other rooms know, was made of something else. */
  const isPlanned = Effect.fnUntraced(function* ({ inputHash }: CallPlan, { marked, stored }: ActionPayload) {
    const text = marked === null ? stored : canonicalize(escape(marked, yield* subjects.hashing(marked)))
    if ((text === null ? null : keys.hashHex(text)) !== inputHash) return yield* changed
  })

  /** A person is not asked for what the budget refuses anyway. */
  const affordable = (plan: CallPlan, options: CallOptions): Effect.Effect<void, Refusal> =>
    settings.enableCost
      ? Effect.catchTag(
          cost.checkOrFail(plan.agentId, plan.sessionId, questionOf(plan, options)),
          "ModuleDisabledError",
          (error) => Effect.die(error)
        )
      : Effect.void

  const waited = Effect.fnUntraced(function* (
    plan: CallPlan,
    gate: Gate,
    lineage: Lineage,
    options: ApprovalOptions = {}
  ) {
    const { agentId, target } = plan
    const facts = { agentId, tool: target.name, requestId: gate.requestId }
    if (options.wait === false) return yield* new ApprovalPending(facts)
    // Whoever looks at the agent sees why it stands still. Neither token nor arguments: logs are read by many.
    yield* Effect.logInfo("approval.waiting", {
      ...{ agent: agentId, call: target.name, request: gate.requestId, until: isoOf(gate.expiresAtMs) },
      todo: "`governance approvals` on the same database shows and decides it"
    })
    const decided = requests.decided(gate.requestId, { agentId, path: lineage.path })
    const timeout = yield* timeoutOf(options)
    const state = yield* Option.match(timeout, {
      onNone: () => decided,
      onSome: (duration) =>
        Effect.timeoutOrElse(decided, { duration, orElse: () => Effect.fail(new ApprovalTimeout(facts)) })
    })
    if (state === "granted") return
    if (state === "expired") {
      yield* Effect.ignore(requests.end(gate, "expired"))
      return yield* new ApprovalTimeout(facts)
    }
    return yield* new ApprovalDenied({ ...facts, problem: state === "denied" ? "denied" : "used" })
  })

  const pass = Effect.fn("GateRoom.pass")(function* (plan: CallPlan, options: CallOptions, lineage: Lineage) {
    const { agentId, sessionId, target } = plan
    const { callKey } = options
    const denied = (problem: ApprovalDenied["problem"], requestId: GateRequestId | null) =>
      new ApprovalDenied({ agentId, tool: target.name, requestId, problem })
    const bind = keys.binding()
    const action = yield* actionOf(plan, options, bind)
    yield* isPlanned(plan, action.payload)
    const gate = yield* Effect.gen(function* () {
      const named = options.approval?.request
      if (named !== undefined) return yield* namedRequest(named, plan)
      yield* affordable(plan, options)
      const wish = { agentId, sessionId, lineage, kind: target.name, payload: action.payload, callKey }
      const opened = yield* requests.ask(wish)
      return opened._tag === "Full" ? yield* denied("too_many", null) : opened.gate
    })
    if (gate.state === "pending") yield* waited(plan, gate, lineage, options.approval)
    const view = yield* requests.read(gate.requestId)
    const problem = view === null ? "used" : refusedState(view)
    if (view === null || problem !== undefined) return yield* denied(problem ?? "used", gate.requestId)
    const standing = yield* requests.judge(view)
    if (standing._tag === "Forged") {
      yield* alarm(view)
      return yield* denied("forged", gate.requestId)
    }
    if (standing._tag === "Withdrawn") {
      yield* Effect.ignore(requests.end(view.gate, "withdrawn"))
      return yield* denied("withdrawn", gate.requestId)
    }
    const { hash } = yield* actionOf(plan, options, bind)
    if (hash !== action.hash) return yield* changed
    if (standing.approval.actionHash === hash) return standing.approval
    return yield* denied(
      standing.editedPayload !== null && view.gate.actionHash === hash ? "edited" : "mismatch",
      gate.requestId
    )
  })

  const namedRequest = Effect.fnUntraced(function* (id: string, { agentId, target }: CallPlan) {
    const requestId = decodeRequest(id)
    const view = Option.isNone(requestId) ? null : yield* requests.read(requestId.value)
    if (view === null || view.gate.agentId !== agentId || view.gate.kind !== target.name) {
      return yield* new InvalidInput({
        field: "approval.request",
        problem: "is no request of this agent for this tool"
      })
    }
    return view.gate
  })

  const alarm = ({ gate }: GateView) =>
    Effect.andThen(
      Effect.logError("approval.forged", { request: gate.requestId, agent: gate.agentId }),
      audit.note({
        kind: "approval.token_rejected",
        agentId: gate.agentId,
        sessionId: gate.sessionId ?? undefined,
        metadata: { request: gate.requestId, action: gate.kind, problem: "stored decision without a valid MAC" }
      })
    )

  return GateRoom.of({
    isNeeded: isNeededBy(policies),
    pass,
    endOverdue: requests.endOverdue,
    used: ({ agentId, sessionId, target }, ticket, { actionHash, requestId }) =>
      audit.note({
        kind: "approval.consumed",
        id: eventOfGate(requestId, "consumed"),
        agentId,
        sessionId: sessionId ?? undefined,
        parentEventId: eventOfGate(requestId, "requested"),
        metadata: { request: requestId, action: target.name, actionHash, ticket }
      })
  })
})

export const layer = Layer.effect(GateRoom, make)

/** Without the module nobody can approve anything: what needs approval does not run (ENT-05). */
export const layerOff = Layer.effect(
  GateRoom,
  Effect.map(Policies, (policies) =>
    GateRoom.of({
      isNeeded: isNeededBy(policies),
      pass: ({ agentId, target }) => Effect.fail(new ApprovalPending({ agentId, tool: target.name, requestId: null })),
      used: () => Effect.void,
      endOverdue: Effect.succeed(0)
    })
  )
)

const refusedState = ({ gate }: GateView): ApprovalDenied["problem"] | undefined => {
  switch (gate.state) {
    case "granted":
      return undefined
    case "denied":
      return "denied"
    case "expired":
      return "withdrawn"
    default:
      return "used"
  }
}

const timeoutOf = ({ timeout }: ApprovalOptions): Effect.Effect<Option.Option<Duration.Duration>, InvalidInput> => {
  if (timeout === undefined) return Effect.succeedNone
  const duration = Duration.fromInput(timeout)
  return Option.isSome(duration)
    ? Effect.succeed(duration)
    : Effect.fail(new InvalidInput({ field: "approval.timeout", problem: "is no duration" }))
}

const decodeRequest = Schema.decodeUnknownOption(GateRequestId)
