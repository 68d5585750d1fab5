import { Context, Effect, Layer } from "effect"
import { uuidV4Unsafe } from "effect/crypto/SecureRandom"
import { type BudgetSnapshot, emptySnapshot, snapshotOf } from "../schema/BudgetSnapshot.ts"
import type { Hold, Settled, Usage } from "../schema/Call.ts"
import type { ConfigurationError } from "../schema/ConfigurationError.ts"
import { amountOf, BudgetExceeded, type BudgetPolicyInput, firstShort } from "../schema/Cost.ts"
import { AgentId, type TicketId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import { NanoUsd, parseUsd } from "../schema/Money.ts"
import type { AgentHaltedError } from "../schema/Presence.ts"
import type { UnknownModelError } from "../schema/Pricing.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AdmissionStore } from "./AdmissionStore.ts"
import { decodeArgument, decodeIds } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { BudgetMoves } from "./BudgetMoves.ts"
import type { CostQuestion } from "./CostQuestion.ts"
import { CostStore, type ModelSpend } from "./CostStore.ts"
import { askedOf } from "./Deadline.ts"
import { Halts } from "./Halts.ts"
import { Lineages } from "./Lineages.ts"
import { Policies } from "./Policies.ts"
import { Pricing } from "./Pricing.ts"
import { Settings } from "./Settings.ts"
import { standing } from "./Standing.ts"

export type { CostQuestion } from "./CostQuestion.ts"

/** Answers what a call may cost and what is left; the holding itself happens in admission. */
export class Cost extends Context.Service<
  Cost,
  {
    readonly register: (
      policy: BudgetPolicyInput & { readonly agentId: string }
    ) => Effect.Effect<void, ConfigurationError | ModuleDisabledError>
    /** Fails when a cap on the agent's path has no room. Holds nothing. Without any budget it passes (OQ-20). */
    readonly checkOrFail: (
      agentId: string,
      sessionId: string | null,
      question?: CostQuestion
    ) => Effect.Effect<void, CostCheckError>
    /** `checkOrFail` by the name that recipes use (C-18). */
    readonly preflight: (
      agentId: string,
      sessionId: string | null,
      question: CostQuestion
    ) => Effect.Effect<void, CostCheckError>
    /** Adds to the counters. Negative amounts are refused; storage trouble never fails it (CST-06). */
    readonly track: (
      agentId: string,
      sessionId: string | null,
      spent: { readonly tokens: number; readonly usd: number | string; readonly model?: string }
    ) => Effect.Effect<void, InvalidInput | ModuleDisabledError>
    /** Prices the usage, then tracks it. An unknown model fails before anything is added (CST-07). */
    readonly trackUsage: (
      agentId: string,
      sessionId: string | null,
      usage: Usage
    ) => Effect.Effect<void, InvalidInput | UnknownModelError | ModuleDisabledError>
    /** Corrects what admission held for a call, once; the second time it changes nothing (CST-11). */
    readonly reconcile: (
      agentId: AgentId,
      ticket: TicketId,
      usage: Usage
    ) => Effect.Effect<Settled | undefined, InvalidInput | UnknownModelError | ModuleDisabledError>
    /** Zeros and a logged error when the store does not answer (CST-13). */
    readonly snapshot: (
      agentId: string,
      sessionId: string | null
    ) => Effect.Effect<BudgetSnapshot, InvalidInput | ModuleDisabledError>
    /** Empty when nothing is recorded or the store does not answer (CST-12). */
    readonly modelBreakdown: (
      agentId: string
    ) => Effect.Effect<ReadonlyMap<string, ModelSpend>, InvalidInput | ModuleDisabledError>
    /** Room 4 of a governed call: what admission has to hold for it. */
    readonly hold: (question: CostQuestion) => Effect.Effect<Hold, UnknownModelError | InvalidInput>
  }
>()("effect-governance/services/Cost") {}

export type CostCheckError =
  | AgentHaltedError
  | BudgetExceeded
  | UnknownModelError
  | InvalidInput
  | StoreError
  | ModuleDisabledError

export const make = Effect.gen(function* () {
  const policies = yield* Policies
  const pricing = yield* Pricing
  const store = yield* CostStore
  const admission = yield* AdmissionStore
  const halts = yield* Halts
  const lineages = yield* Lineages
  const audit = yield* Audit
  const moves = yield* BudgetMoves
  const settings = yield* Settings
  const stand = standing(lineages, halts)
  const bounded = askedOf("CostStore", settings.enforcementDeadline)

  const hold = Effect.fnUntraced(function* (question: CostQuestion) {
    if (question.model !== undefined) return yield* pricing.worstCase({ ...question, model: question.model })
    const usd = question.usd === undefined ? zero : yield* decodeUsd(question.usd)
    return { _tag: "Exact", usd, tokens: 0n } satisfies Hold
  })

  const checkOrFail = Effect.fn("Cost.checkOrFail")(function* (
    id: string,
    session: string | null,
    question: CostQuestion = {}
  ) {
    const { agentId, sessionId } = yield* decodeIds(id, session)
    const { path, trouble } = yield* stand(agentId, "cost.check")
    const worst = yield* hold(question)
    const request = worst._tag === "Exact" ? worst : { usd: zero, tokens: 0n }
    // One deadline for both questions; a store that has just not placed the agent is not asked again.
    const asked = Effect.andThen(policies.stored(path), store.snapshot(agentId, sessionId))
    const state = yield* (trouble === null ? bounded("snapshot", asked) : Effect.fail(trouble)).pipe(
      Effect.catch((error) =>
        settings.costFailOpen
          ? Effect.as(Effect.logWarning("cost.fail_open", { agent: agentId, problem: error.problem }), undefined)
          : Effect.fail(error)
      )
    )
    const short = state === undefined ? undefined : firstShort(state.caps, request)
    if (short === undefined) return
    const requested = amountOf(short.cap, request)
    yield* Effect.ignore(
      audit.log({
        kind: "budget.exceeded",
        agentId,
        sessionId: sessionId ?? undefined,
        metadata: {
          cap: short.cap,
          policyOf: short.policyOf,
          limit: `${short.limit}`,
          used: `${short.used}`,
          requested: `${requested}`
        }
      })
    )
    return yield* new BudgetExceeded({ agentId, sessionId, requested, ...short })
  })

  const add = Effect.fnUntraced(function* (
    id: string,
    session: string | null,
    spent: { readonly usd: NanoUsd; readonly tokens: bigint; readonly model: string | null }
  ) {
    const ids = yield* decodeIds(id, session)
    yield* bounded("track", store.track({ id: uuidV4Unsafe(), ...ids, ...spent })).pipe(
      Effect.andThen(moves.tell(ids.agentId, ids.sessionId)),
      Effect.catch((error) => Effect.logWarning("cost.track_failed", { agent: ids.agentId, problem: error.problem }))
    )
  })

  return Cost.of({
    register: ({ agentId, ...policy }) => policies.register(agentId, "budget", policy),
    checkOrFail,
    preflight: checkOrFail,
    track: Effect.fn("Cost.track")(function* (id, session, { tokens, usd, model }) {
      if (!Number.isSafeInteger(tokens) || tokens < 0) {
        return yield* new InvalidInput({
          field: "tokens",
          problem: "must be a whole number from 0 up; nothing is ever given back"
        })
      }
      yield* add(id, session, { usd: yield* decodeUsd(usd), tokens: BigInt(tokens), model: model ?? null })
    }),
    trackUsage: Effect.fn("Cost.trackUsage")(function* (id, session, usage) {
      const charge = yield* pricing.price(usage)
      yield* add(id, session, { usd: charge.usd, tokens: charge.tokens, model: usage.model })
    }),
    reconcile: Effect.fn("Cost.reconcile")(function* (agentId, ticket, usage) {
      const { root } = yield* Effect.orElseSucceed(lineages.of(agentId), () => lineages.known(agentId))
      const charge = yield* pricing.price(usage)
      return yield* Effect.catch(
        bounded(
          "reconcile",
          admission.settle(root, ticket, {
            _tag: "Spent",
            usd: charge.usd,
            tokens: charge.tokens,
            model: usage.model,
            resultHash: null
          })
        ),
        (error) =>
          Effect.as(Effect.logWarning("cost.reconcile_failed", { agent: agentId, problem: error.problem }), undefined)
      )
    }),
    snapshot: Effect.fn("Cost.snapshot")(function* (id, session) {
      const { agentId, sessionId } = yield* decodeIds(id, session)
      return yield* Effect.catch(
        Effect.map(bounded("snapshot", store.snapshot(agentId, sessionId)), snapshotOf),
        (error) =>
          Effect.as(
            Effect.logError("cost.snapshot_failed", { agent: agentId, problem: error.problem }),
            emptySnapshot(agentId, sessionId)
          )
      )
    }),
    modelBreakdown: Effect.fn("Cost.modelBreakdown")(function* (id) {
      const agentId = yield* decodeArgument(AgentId, "agentId", id)
      const spent = yield* Effect.catch(bounded("breakdown", store.breakdown(agentId)), (error) =>
        Effect.as(Effect.logWarning("cost.breakdown_failed", { agent: agentId, problem: error.problem }), [])
      )
      return new Map(spent.map((one) => [one.model, one]))
    }),
    hold
  })
})

export const layer = Layer.effect(Cost, make)

/** Nothing is priced, held or counted against a cap. Warned once at start; direct calls fail (ENT-05). */
export const layerOff = Layer.suspend(() =>
  Layer.effect(
    Cost,
    Effect.as(
      Effect.logWarning("cost.disabled", { effect: "budgets are not enforced in this process" }),
      Cost.of({
        register: () => Effect.fail(off),
        checkOrFail: () => Effect.fail(off),
        preflight: () => Effect.fail(off),
        track: () => Effect.fail(off),
        trackUsage: () => Effect.fail(off),
        reconcile: () => Effect.fail(off),
        snapshot: () => Effect.fail(off),
        modelBreakdown: () => Effect.fail(off),
        hold: () => Effect.succeed({ _tag: "Exact", usd: zero, tokens: 0n })
      })
    )
  )
)

const off = new ModuleDisabledError({ module: "cost" })
const zero = NanoUsd.make(0n)

const decodeUsd = (value: number | string) =>
  Effect.mapError(
    Effect.fromResult(parseUsd(value)),
    (error) => new InvalidInput({ field: "usd", problem: error.problem })
  )
