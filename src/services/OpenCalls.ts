import { Cause, type Clock, Context, DateTime, Duration, Effect, Exit, Fiber, Layer, Schedule } from "effect"
import { Hex } from "effect/encoding"
import type { Admitted } from "../schema/Admitted.ts"
import type { Settlement, Usage } from "../schema/Call.ts"
import { hashOfResult } from "../schema/CallPlan.ts"
import type { Outcome } from "../schema/CallRow.ts"
import { normaliseIdentifier } from "../schema/Identifier.ts"
import type { NanoUsd } from "../schema/Money.ts"
import { StoreError } from "../schema/StoreError.ts"
import { AdmissionStore } from "./AdmissionStore.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { CostStore } from "./CostStore.ts"
import { within } from "./Deadline.ts"
import { Evidence } from "./Evidence.ts"
import { Pricing } from "./Pricing.ts"
import { Settings } from "./Settings.ts"

/** What a call says it has used so far: a provider's usage, or an amount. */
export type Spending =
  | { readonly usage: Usage; readonly provider?: string }
  | { readonly usd: NanoUsd; readonly tokens?: bigint; readonly model?: string }

/** One admitted call while it runs. Mutable on purpose: its owner reports, the keeper renews, closing reads. */
export interface OpenCall {
  readonly admitted: Admitted
  readonly clock: Clock.Clock
  spending: Spending | undefined
  readonly openedAtMs: number
  /** Monotonic: a wall clock that is set MUST NOT keep a lease from being renewed (H-05). */
  renewedAtNs: bigint
  leaseLost: boolean
}

/** Keeps the leases of running calls and settles each once, when it ends (BEY-01, BEY-06). */
export class OpenCalls extends Context.Service<
  OpenCalls,
  {
    readonly open: (admitted: Admitted, clock: Clock.Clock) => OpenCall
    /**
     * Room 9: settlement and outcome, issued at once. Never fails: what does not get through is retried, then left to the
     * sweep. Undefined when all of it is done already.
     */
    readonly close: (call: OpenCall, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void> | undefined
    readonly count: () => number
  }
>()("effect-governance/services/OpenCalls") {}

export const make = Effect.gen(function* () {
  const admission = yield* AdmissionStore
  const costs = yield* CostStore
  const evidence = yield* Evidence
  const pricing = yield* Pricing
  const settings = yield* Settings
  const { hash } = yield* ChainKeys
  const services = yield* Effect.scope
  const hashHex = (text: string) => Hex.encode(hash(text))
  const leaseMs = Duration.toMillis(settings.leaseDuration)
  const leaseNs = Duration.toNanosUnsafe(settings.leaseDuration)
  const running = new Set<OpenCall>()

  const charge = Effect.fnUntraced(function* (call: OpenCall) {
    const { spending } = call
    if (spending === undefined) return held(call)
    if ("usd" in spending) return { usd: spending.usd, tokens: spending.tokens ?? 0n, model: spending.model ?? null }
    // By the prices of the moment the call began, which its hold was made with. The reply is there and paid for: a price that is missing now must not become the call's failure (OQ-12).
    return yield* pricing
      .price(spending.usage, { provider: spending.provider, at: DateTime.makeUnsafe(call.openedAtMs) })
      .pipe(
        Effect.map(({ usd, tokens }) => ({ usd, tokens, model: spending.usage.model })),
        Effect.catch((error) =>
          Effect.as(Effect.logWarning("cost.unpriced_usage", { problem: error.message }), held(call))
        )
      )
  })

  const settle = Effect.fnUntraced(function* (call: OpenCall, spent: Charge, resultHash: string | null) {
    const { lineage, ticket, plan, failOpen } = call.admitted
    const settlement: Settlement =
      call.spending === undefined ? { _tag: "Held", resultHash } : { _tag: "Spent", ...spent, resultHash }
    // Both are idempotent by ticket. What ran without a ticket row is added to the counters once they can be reached again.
    const once: Effect.Effect<unknown, StoreError> = failOpen
      ? costs.track({ id: ticket, agentId: plan.agentId, sessionId: plan.sessionId, ...spent })
      : admission.settle(lineage.root, ticket, settlement)
    // The call is over: its caller waits no longer than for any other answer of the store (INV-1).
    yield* Effect.catch(within(once, settings.enforcementDeadline, tooLate), (error) =>
      Effect.logWarning("cost.settle_delayed", { ticket, problem: error.problem }).pipe(
        Effect.andThen(
          Effect.forkIn(
            Effect.ignore(
              Effect.retry(
                Effect.suspend(() => within(once, settings.enforcementDeadline, tooLate)),
                untilTheSweep
              )
            ),
            services
          )
        )
      )
    )
  })

  /** The lease has ended, known from a renewal or, after a pause of this process, by the time alone (F-17). */
  const isLate = (call: OpenCall) =>
    call.leaseLost || (!call.admitted.failOpen && call.clock.monotonicTimeNanosUnsafe() - call.renewedAtNs > leaseNs)

  const close = (call: OpenCall, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined => {
    running.delete(call)
    const resultHash = Exit.isSuccess(exit) ? hashOfResult(exit.value, hashHex) : null
    return closeNow(call, exit, resultHash) ? undefined : closeLater(call, exit, resultHash)
  }

  /** Where nothing has to be priced or waited for. False: nothing is settled yet; the outcome may be written, by its own id. */
  const closeNow = (call: OpenCall, exit: Exit.Exit<unknown, unknown>, resultHash: string | null): boolean => {
    const { lineage, ticket, plan, failOpen } = call.admitted
    if (admission.now === undefined || call.spending !== undefined || failOpen) return false
    const nowMs = call.clock.currentTimeMillisUnsafe()
    if (!evidence.outcomeNow(plan, ticket, outcomeOf(exit, held(call), resultHash, isLate(call)), nowMs)) return false
    const settled = admission.now.settle(lineage.root, ticket, { _tag: "Held", resultHash }, nowMs)
    return !(settled instanceof StoreError)
  }

  const closeLater = Effect.fnUntraced(function* (
    call: OpenCall,
    exit: Exit.Exit<unknown, unknown>,
    resultHash: string | null
  ) {
    const { plan, ticket } = call.admitted
    const spent = yield* charge(call)
    const outcome = outcomeOf(exit, spent, resultHash, isLate(call), call.spending)
    const written = yield* Effect.forkIn(evidence.outcome(plan, ticket, outcome), services, { startImmediately: true })
    yield* settle(call, spent, resultHash)
    const done = written.pollUnsafe()
    if (done === undefined) yield* Fiber.await(written)
  })

  const renew = Effect.fnUntraced(function* (call: OpenCall) {
    const { lineage, ticket, failOpen } = call.admitted
    const now = call.clock.monotonicTimeNanosUnsafe()
    if (failOpen || (now - call.renewedAtNs) * 3n < leaseNs) return
    const renewal = within(admission.renew(lineage.root, ticket, leaseMs), settings.enforcementDeadline, tooLate)
    const alive = yield* Effect.option(renewal)
    if (alive._tag === "None") return
    call.leaseLost = !alive.value
    if (alive.value) call.renewedAtNs = now
  })

  yield* Effect.forkScoped(
    Effect.gen(function* () {
      yield* Effect.sleep(leaseMs / 4)
      yield* Effect.forEach([...running], renew, { discard: true, concurrency: 16 })
    }).pipe(Effect.forever)
  )

  return OpenCalls.of({
    open: (admitted, clock) => {
      const nowMs = clock.currentTimeMillisUnsafe()
      const call: OpenCall = {
        admitted,
        clock,
        spending: undefined,
        openedAtMs: nowMs,
        renewedAtNs: clock.monotonicTimeNanosUnsafe(),
        leaseLost: false
      }
      running.add(call)
      return call
    },
    close,
    count: () => running.size
  })
})

export const layer = Layer.effect(OpenCalls, make)

interface Charge {
  readonly usd: NanoUsd
  readonly tokens: bigint
  readonly model: string | null
}

const held = ({ admitted }: OpenCall): Charge => ({
  usd: admitted.heldUsd,
  tokens: admitted.heldTokens,
  model: admitted.plan.target.kind === "llm" ? admitted.plan.target.model : null
})

const outcomeOf = (
  exit: Exit.Exit<unknown, unknown>,
  { model, tokens, usd }: Charge,
  resultHash: string | null,
  late: boolean,
  spending?: Spending
): Outcome => {
  const used = spending !== undefined && "usage" in spending ? spending : undefined
  const facts = { usd, tokens, model, resultHash, late, usage: used?.usage ?? null, provider: used?.provider ?? null }
  if (Exit.isSuccess(exit)) return { result: "completed", error: null, ...facts }
  const failure = Cause.findErrorOption(exit.cause)
  const error = failure._tag === "Some" ? tagOf(failure.value) : Cause.hasInterruptsOnly(exit.cause) ? null : "defect"
  const result = error === null ? "interrupted" : error === "AgentHaltedError" ? "halted" : "failed"
  return { result, error, ...facts }
}

/** The name of an error, never its message: that may hold what the tool was told in confidence. */
const tagOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return "error"
  const name = "_tag" in error ? error._tag : "name" in error ? error.name : undefined
  return typeof name === "string" ? normaliseIdentifier(name.slice(0, 64)) : "error"
}

const tooLate = () =>
  StoreError.because({ store: "AdmissionStore", operation: "settle", problem: "deadline" }, undefined)
const untilTheSweep = Schedule.jittered(Schedule.exponential("100 millis")).pipe(
  Schedule.upTo({ duration: "2 minutes" })
)
