import { Clock, Context, DateTime, Duration, Effect, Layer, Option } from "effect"
import { payloadOf } from "../schema/ActionHash.ts"
import type { CallOptions, CallPlan } from "../schema/CallPlan.ts"
import { ApprovalDenied, ApprovalTimeout } from "../schema/Gate.ts"
import { defaultExpirySeconds } from "../schema/GateDemand.ts"
import { type ApprovalRequest, GateRequestId } from "../schema/GateRequest.ts"
import { Identifier } from "../schema/Identifier.ts"
import { AgentId, SessionId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import type { AgentHaltedError } from "../schema/Presence.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { askedOf } from "./Deadline.ts"
import { GateDecisions } from "./GateDecisions.ts"
import { GateRequests } from "./GateRequests.ts"
import { GateStore } from "./GateStore.ts"
import { Halts } from "./Halts.ts"
import { Lineages } from "./Lineages.ts"
import { Policies } from "./Policies.ts"
import { Settings } from "./Settings.ts"
import { standing } from "./Standing.ts"
import { type ToolStanding, type ToolWish, toolStanding } from "./ToolStanding.ts"

export { requireApproval } from "./GovernedTool.ts"

/** Approvals by people, for programs that ask for them without a governed call, and for whoever decides. */
export class Gates extends Context.Service<
  Gates,
  {
    /**
     * Asks a person, once: the same action is the same request (DEC-21). Storage trouble gives a request that nobody can
     * grant; only a halt fails it (GAT-01, C-07). The token decides the request: it belongs to the reviewer, never to the agent.
     */
    readonly request: (
      kind: string,
      agentId: string,
      payload?: unknown,
      options?: { readonly sessionId?: string | undefined; readonly callKey?: string | undefined }
    ) => Effect.Effect<ApprovalRequest, AgentHaltedError | InvalidInput | ModuleDisabledError>
    /**
     * Returns when a person has granted the request; uses nothing up: that is for `governed` with `approval.request`. Says
     * nothing of what the reviewer wrote (T-14). Without a timeout it waits as long as the request is open (GAT-03).
     */
    readonly waitFor: (
      requestId: string,
      timeout?: Duration.Input
    ) => Effect.Effect<
      void,
      ApprovalTimeout | ApprovalDenied | AgentHaltedError | InvalidInput | StoreError | ModuleDisabledError
    >
    readonly grant: GateDecisions["Service"]["grant"]
    readonly deny: GateDecisions["Service"]["deny"]
    readonly list: GateDecisions["Service"]["list"]
    readonly claim: GateDecisions["Service"]["claim"]
    /** Whether the agent has any unused grant (GAT-12); for one call ask `approvedFor`. */
    readonly hasGrantedApproval: (
      agentId: string
    ) => Effect.Effect<boolean, InvalidInput | StoreError | ModuleDisabledError>
    /** Whether exactly this call has an unused grant that still holds (DEC-09). Fails for a halted agent. */
    readonly approvedFor: (
      plan: CallPlan,
      options: CallOptions
    ) => Effect.Effect<boolean, AgentHaltedError | InvalidInput | StoreError | ModuleDisabledError>
    /** Whether a person has to approve a tool's call, and what became of the request that this very call led to, if any did. */
    readonly standing: (
      call: ToolWish
    ) => Effect.Effect<ToolStanding, AgentHaltedError | InvalidInput | StoreError | ModuleDisabledError>
    /** What the reviewer put in place of the agent's arguments, as canonical text; none unless granted so and still good. */
    readonly editedArguments: (
      requestId: string
    ) => Effect.Effect<Option.Option<string>, InvalidInput | StoreError | ModuleDisabledError>
    /** Ends what is overdue and deletes what was resolved longer ago than that, default 90 days (GAT-13). */
    readonly cleanupResolved: (
      olderThan?: Duration.Input
    ) => Effect.Effect<number, InvalidInput | StoreError | ModuleDisabledError>
  }
>()("effect-governance/services/Gates") {}

export const make = Effect.gen(function* () {
  const requests = yield* GateRequests
  const decisions = yield* GateDecisions
  const store = yield* GateStore
  const lineages = yield* Lineages
  const policies = yield* Policies
  const halts = yield* Halts
  const settings = yield* Settings
  const { keys } = requests
  const stand = standing(lineages, halts)
  const asked = askedOf("GateStore", settings.enforcementDeadline)
  const acted = askedOf("GateStore", Duration.times(settings.enforcementDeadline, 5))

  const ungrantable = Effect.fnUntraced(function* (problem: string) {
    yield* Effect.logWarning("gates.request_failed", { problem })
    const now = yield* Clock.currentTimeMillis
    const expiresAt = DateTime.makeUnsafe(now + defaultExpirySeconds * 1000)
    const requestId = GateRequestId.make(crypto.randomUUID())
    return { requestId, token: "", expiresAt, grantable: false } satisfies ApprovalRequest
  })

  const request = Effect.fn("Gates.request")(function* (
    name: string,
    agent: string,
    value?: unknown,
    options: { readonly sessionId?: string | undefined; readonly callKey?: string | undefined } = {}
  ) {
    const agentId = yield* decodeArgument(AgentId, "agentId", agent)
    const kind = yield* decodeArgument(Identifier(512), "kind", name)
    const sessionId =
      options.sessionId === undefined ? null : yield* decodeArgument(SessionId, "sessionId", options.sessionId)
    const payload = yield* Effect.fromResult(payloadOf(value, keys.binding()))
    return yield* Effect.gen(function* () {
      yield* stand(agentId, "gates.request")
      const lineage = yield* lineages.of(agentId)
      const opened = yield* requests.ask({ agentId, sessionId, lineage, kind, payload, callKey: options.callKey })
      if (opened._tag === "Full") return yield* ungrantable("too many requests of the agent are pending")
      const { gate } = opened
      const token = (yield* requests.tokenOf(gate)) ?? ""
      const expiresAt = DateTime.makeUnsafe(gate.expiresAtMs)
      return { requestId: gate.requestId, token, expiresAt, grantable: token !== "" } satisfies ApprovalRequest
    }).pipe(Effect.catchTag("StoreError", (error) => ungrantable(error.message)))
  })

  const waitFor = Effect.fn("Gates.waitFor")(function* (id: string, timeout?: Duration.Input) {
    const requestId = yield* decodeArgument(GateRequestId, "requestId", id)
    const view = yield* requests.read(requestId)
    if (view === null) return yield* new InvalidInput({ field: "requestId", problem: "is no request that was stored" })
    const { agentId, kind } = view.gate
    const facts = { agentId, tool: kind, requestId }
    const { path, trouble } = yield* stand(agentId, "gates.waitFor")
    if (trouble !== null) return yield* trouble
    const decided = requests.decided(requestId, { agentId, path })
    const state =
      timeout === undefined
        ? yield* decided
        : yield* Effect.timeoutOrElse(decided, {
            duration: yield* durationOf("timeout", timeout),
            orElse: () => Effect.fail(new ApprovalTimeout(facts))
          })
    if (state === "expired") return yield* new ApprovalTimeout(facts)
    if (state !== "granted") {
      return yield* new ApprovalDenied({ ...facts, problem: state === "denied" ? "denied" : "used" })
    }
    const now = yield* requests.read(requestId)
    const worth = now === null ? undefined : yield* requests.judge(now)
    if (worth?._tag !== "Good") {
      return yield* new ApprovalDenied({ ...facts, problem: worth?._tag === "Withdrawn" ? "withdrawn" : "forged" })
    }
  })

  const approvedFor = Effect.fn("Gates.approvedFor")(function* (plan: CallPlan, options: CallOptions) {
    const { agentId, sessionId, target } = plan
    const payload = yield* Effect.fromResult(payloadOf(options.input, keys.binding()))
    yield* stand(agentId, "gates.approvedFor")
    const lineage = lineages.known(agentId)
    const action = keys.actionHash(target.name, agentId, payload.bound)
    const key = requests.matchKeyOf({
      agentId,
      sessionId,
      lineage,
      kind: target.name,
      payload,
      callKey: options.callKey
    })
    const granted = yield* asked("list", store.list({ agentId, which: "granted", limit: 1000 }))
    const named = options.approval?.request
    const found = granted.find(({ gate }) => (named === undefined ? gate.matchKey === key : gate.requestId === named))
    const view = found === undefined ? null : yield* requests.read(found.gate.requestId)
    if (view === null || view.gate.state !== "granted") return false
    const worth = yield* requests.judge(view)
    return worth._tag === "Good" && worth.approval.actionHash === action
  })

  return Gates.of({
    request,
    waitFor,
    grant: decisions.grant,
    deny: decisions.deny,
    list: decisions.list,
    claim: decisions.claim,
    hasGrantedApproval: Effect.fn("Gates.hasGrantedApproval")(function* (id) {
      const agentId = yield* decodeArgument(AgentId, "agentId", id)
      return yield* acted("hasGranted", store.hasGranted(agentId))
    }),
    approvedFor,
    standing: toolStanding({
      requests,
      policies,
      lineages,
      stand,
      stateOf: (requestId) => asked("stateOf", store.stateOf(requestId)),
      list: (query) => asked("list", store.list(query))
    }),
    editedArguments: Effect.fn("Gates.editedArguments")(function* (id) {
      const view = yield* requests.read(yield* decodeArgument(GateRequestId, "requestId", id))
      if (view === null || view.gate.state !== "granted") return Option.none()
      const worth = yield* requests.judge(view)
      return worth._tag === "Good" ? Option.fromNullOr(worth.editedPayload) : Option.none()
    }),
    cleanupResolved: Effect.fn("Gates.cleanupResolved")(function* (olderThan = Duration.days(90)) {
      const age = yield* durationOf("olderThan", olderThan)
      yield* requests.endOverdue
      return yield* acted("forget", store.forget(Duration.toMillis(age), 10_000))
    })
  })
})

export const layer = Layer.effect(Gates, make)

const durationOf = (field: string, value: Duration.Input) =>
  Option.match(Duration.fromInput(value), {
    onNone: () => Effect.fail(new InvalidInput({ field, problem: "is no duration" })),
    onSome: (duration) => Effect.succeed(duration)
  })
