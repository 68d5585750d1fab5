import { Context, Effect, Layer, Option } from "effect"
import { allowsModel } from "../schema/AgentScope.ts"
import type { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { AgentId, SessionId } from "../schema/Ids.ts"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import { noDearer } from "../schema/Pricing.ts"
import { candidates, type RoutingPolicy, type RoutingPolicyInput, remainingPct } from "../schema/Routing.ts"
import { decodeIds } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { CostStore } from "./CostStore.ts"
import { askedOf } from "./Deadline.ts"
import { Lineages } from "./Lineages.ts"
import { Policies } from "./Policies.ts"
import { Pricing } from "./Pricing.ts"
import { Settings } from "./Settings.ts"

/** A call that is about to be made, before it is priced. */
export interface RoutingQuestion {
  readonly agentId: string
  readonly sessionId?: string | null | undefined
  readonly model: string
  /** Whose prices count, as in `Pricing`: the model that is suggested is one of theirs too. */
  readonly provider?: string | undefined
}

/** Suggests cheaper or other models (ROU-01). Advice before a call is governed; the call itself passes every room as any other. */
export class Routing extends Context.Service<
  Routing,
  {
    /** Audited as `routing.policy_changed`. Counts for those that the agent delegates to, unless they have their own. */
    readonly register: (
      policy: RoutingPolicyInput & { readonly agentId: string }
    ) => Effect.Effect<void, ConfigurationError | ModuleDisabledError>
    /**
     * The model to use, mostly the one that is asked for. Another one is priced, in every `allowedModels` on the agent's path
     * and, by budget, never dearer; it is audited as `routing.suggestion` (ROU-02). Never fails: in doubt nothing changes.
     */
    readonly suggest: (question: RoutingQuestion) => Effect.Effect<string>
  }
>()("effect-governance/services/Routing") {}

export const make = Effect.gen(function* () {
  const audit = yield* Audit
  const lineages = yield* Lineages
  const policies = yield* Policies
  const pricing = yield* Pricing
  const store = yield* CostStore
  const scope = yield* Effect.scope
  const { enforcementDeadline } = yield* Settings
  const bounded = askedOf("CostStore", enforcementDeadline)

  const policyAlong = (path: ReadonlyArray<AgentId>): RoutingPolicy | undefined =>
    path.reduce<RoutingPolicy | undefined>((above, each) => policies.get(each, "routing")?.policy ?? above, undefined)

  const isAllowed = (path: ReadonlyArray<AgentId>, model: string) =>
    path.every((each) => {
      const found = policies.get(each, "scope")
      return found === undefined || allowsModel(found.policy, model)
    })

  /** Priced by the book, not by the rate for unknown models, and by budget no dearer than what is asked for. */
  const fits = Effect.fnUntraced(function* (policy: RoutingPolicy, question: RoutingQuestion, model: string) {
    const price = yield* pricing.listed(model, question.provider)
    if (policy.mode === "rules" || Option.isNone(price)) return Option.isSome(price)
    const asked = yield* pricing.listed(question.model, question.provider)
    return Option.isSome(asked) && noDearer(price.value, asked.value)
  })

  const other = Effect.fnUntraced(function* (question: RoutingQuestion, agentId: AgentId, sessionId: SessionId | null) {
    const { path } = yield* lineages.of(agentId)
    const policy = policyAlong(path)
    if (policy === undefined) return
    const isRule = policy.mode === "rules"
    const left = isRule ? null : remainingPct((yield* bounded("snapshot", store.snapshot(agentId, sessionId))).caps)
    for (const model of candidates(policy, question.model, left)) {
      if (isAllowed(path, model) && (yield* fits(policy, question, model))) {
        return { model, reason: isRule ? "rule" : "budget", left }
      }
    }
  })

  return Routing.of({
    register: Effect.fn("Routing.register")(function* ({ agentId, ...policy }) {
      yield* policies.register(agentId, "routing", policy)
      yield* audit.note({ kind: "routing.policy_changed", agentId, metadata: { policy } })
    }),
    suggest: Effect.fn("Routing.suggest")(function* (question) {
      const ids = yield* Effect.option(decodeIds(question.agentId, question.sessionId ?? null))
      if (Option.isNone(ids)) return question.model
      const { agentId, sessionId } = ids.value
      const found = yield* Effect.catch(other(question, agentId, sessionId), (error) =>
        Effect.as(Effect.logWarning("routing.unknown", { agent: agentId, problem: error.problem }), undefined)
      )
      if (found === undefined) return question.model
      const { left, model, reason } = found
      const metadata = { requested: question.model, routed: model, reason, remainingPct: left }
      const row = { kind: "routing.suggestion", agentId, sessionId: sessionId ?? undefined, model, metadata }
      // The call does not wait for the row; what becomes of it is the log's matter (INV-1).
      yield* Effect.forkIn(audit.note(row), scope, { startImmediately: true })
      return model
    })
  })
})

export const layer = Layer.effect(Routing, make)

/** Every call keeps its model; a policy cannot be registered (ENT-05). It is off by default, so nothing is warned. */
export const layerOff = Layer.succeed(
  Routing,
  Routing.of({
    register: () => Effect.fail(new ModuleDisabledError({ module: "routing" })),
    suggest: ({ model }) => Effect.succeed(model)
  })
)
