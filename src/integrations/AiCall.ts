import { Clock, Duration, Effect, Exit, Option, Scope, Stream } from "effect"
import { type AiError, Model, type Response } from "effect/ai"
import type { CallOptions } from "../schema/CallPlan.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { isHaltError } from "../schema/GovernanceError.ts"
import type { JsonValue } from "../schema/Json.ts"
import { estimateInputTokens } from "../schema/Pricing.ts"
import { AgentScope } from "../services/AgentScope.ts"
import { Coverage } from "../services/Coverage.ts"
import { Governor, type Ticket } from "../services/Governor.ts"
import { Settings } from "../services/Settings.ts"
import { Wrappers } from "../services/Wrappers.ts"
import { Acting } from "./Acting.ts"
import { aiError, refusalIn } from "./AiRefusal.ts"
import { callInput } from "./CallInput.ts"
import { FiberCall } from "./CurrentCall.ts"
import { FiberModelCall } from "./FiberModelCall.ts"

/** For whom a model of `effect/ai` is governed, and what it is. */
export interface AiOptions {
  readonly agentId: string
  /** One random session for each layer where none is given (WRP-03). */
  readonly sessionId?: string | undefined
  /** `Model.ModelName` where a `Model` of `effect/ai` provides it. */
  readonly model?: string | undefined
  /** `Model.ProviderName`, likewise. */
  readonly provider?: string | undefined
  /** Where the provider is, for the coverage report; not needed above `HttpClient.layer`, which counts each request (BEY-13). */
  readonly url?: string | undefined
  /** Plain JSON for the audit row of every attempt. */
  readonly metadata?: unknown
  /** Counts a request's input tokens; without it the length of its text is taken for an estimate on the high side. */
  readonly estimateInput?: ((request: JsonValue) => number) | undefined
}

export interface AiRequest {
  readonly module: string
  readonly method: string
  /** The sentinel name for scope policies (SCP-08). */
  readonly llm: string
  readonly input: JsonValue
  readonly tools: ReadonlyArray<string>
  readonly maxTokens: number
}

/** Runs requests of `effect/ai` to a provider as governed calls. Everything fails with `AiError`. */
export const make = Effect.fnUntraced(function* (wrapper: string, options: AiOptions) {
  const governor = yield* Governor
  const scopes = yield* AgentScope
  const coverage = yield* Coverage
  const { leaseDuration } = yield* Settings
  const named = Option.getOrUndefined(yield* Effect.serviceOption(Model.ModelName))
  const model = options.model ?? named
  if (model === undefined) {
    return yield* new ConfigurationError({
      setting: `${wrapper}.layer model`,
      problem: "give a model, or provide a Model of effect/ai, which names it"
    })
  }
  const provider = options.provider ?? Option.getOrUndefined(yield* Effect.serviceOption(Model.ProviderName))
  const layered = { agentId: options.agentId, sessionId: options.sessionId ?? crypto.randomUUID() }
  const who = Effect.map(Acting, (acting) => ({
    agentId: acting.agentId ?? layered.agentId,
    sessionId: acting.sessionId ?? layered.sessionId
  }))
  yield* (yield* Wrappers).register("effect-ai")

  const planned = Effect.fnUntraced(function* ({ input, llm, maxTokens, tools }: AiRequest) {
    const { agentId, sessionId } = yield* who
    const text = JSON.stringify(input)
    const inputTokens = options.estimateInput?.(input) ?? estimateInputTokens(text)
    const call: CallOptions = {
      ...{ agentId, sessionId, model, provider, llm, inputTokens, maxTokens },
      input: callInput(input, text, tools),
      metadata: options.metadata
    }
    return { call, facts: { model, provider, inputTokens, maxTokens } }
  })

  const refused =
    ({ method, module }: AiRequest) =>
    (error: unknown): AiError.AiError =>
      aiError(module, method, error)

  const closed = (live: FiberModelCall, ticket: Ticket, exit: Exit.Exit<unknown, unknown>) =>
    Effect.suspend(() => {
      const spent = live.close(exit)
      const wasAnswered = Exit.isSuccess(exit) || (spent !== undefined && "usage" in spent)
      if (options.url !== undefined && wasAnswered && !live.meter.countedBelow) coverage.governed(options.url)
      return spent === undefined ? Effect.void : ticket.report(spent)
    })

  /** The call is settled before its answer reaches the caller. */
  const once = <A, E, R>(
    request: AiRequest,
    use: (live: FiberModelCall) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, AiError.AiError, R> => {
    const used = Effect.flatMap(planned(request), ({ call, facts }) =>
      governor.run(call, (ticket) => {
        const live = new FiberModelCall(ticket, facts, coverage)
        return use(live).pipe(
          Effect.provideService(FiberCall, live),
          Effect.tap(() => Effect.sync(() => live.reported({}))),
          Effect.onExit((exit) => closed(live, ticket, exit))
        )
      })
    )
    return Effect.mapError(used, refused(request))
  }

  /** Open from the first pull to the stream's end, its drop, a halt, or a lease's time in which nobody reads it (BEY-01). */
  const streamed = <A extends Response.AnyPart, E, R>(
    request: AiRequest,
    use: Stream.Stream<A, E, R>
  ): Stream.Stream<A, AiError.AiError, R> => {
    const opened = Effect.gen(function* () {
      const { call, facts } = yield* planned(request)
      const scope = yield* Scope.make()
      // A stream's scope ends with what its consumer was told, which is an `AiError`; the log wants what it stands for.
      yield* Effect.addFinalizer((exit) =>
        Scope.close(
          scope,
          Exit.mapError(exit, (error) => refusalIn(error) ?? error)
        )
      )
      const ticket = yield* Scope.provide(governor.admit(call), scope)
      const live = new FiberModelCall(ticket, facts, coverage)
      yield* Scope.addFinalizerExit(scope, (exit) => closed(live, ticket, exit))
      const turn = yield* watched(scope, live)
      const metered = Stream.provideService(use, FiberCall, live).pipe(
        Stream.tap((part) => live.part(part)),
        Stream.interruptWhen(ticket.halted),
        Stream.mapError((error): unknown => (isHaltError(live.signal.reason) ? live.signal.reason : error))
      )
      return Stream.transformPull(metered, (pull) => Effect.succeed(turn(pull)))
    })
    return Stream.mapError(Stream.unwrap(opened), refused(request))
  }

  /** Scopes end with their streams, but for an iterator that nobody closes. */
  const watched = Effect.fnUntraced(function* (scope: Scope.Closeable, live: FiberModelCall) {
    const clock = yield* Clock.Clock
    const leaseMs = Duration.toMillis(leaseDuration)
    const abandoned = new Error(`nobody has read this stream for ${leaseMs} ms`)
    let idleSince: number | undefined
    const look = Effect.suspend(() => {
      if (idleSince === undefined || clock.currentTimeMillisUnsafe() - idleSince < leaseMs) return Effect.void
      idleSince = undefined
      const facts = { agent: live.agentId, ticket: live.id }
      return Effect.logWarning("governance.stream.abandoned_without_reconcile", facts).pipe(
        // Not in this fiber: it belongs to the scope that is closed here.
        Effect.andThen(Effect.forkDetach(Scope.close(scope, Exit.fail(abandoned))))
      )
    })
    yield* Effect.forkIn(Effect.forever(Effect.delay(look, leaseMs / 4)), scope)
    return <A, E, R>(pull: Effect.Effect<A, E, R>): Effect.Effect<A, E | Error, R> =>
      Effect.suspend((): Effect.Effect<A, E | Error, R> => {
        if (live.isSettled) return Effect.fail(abandoned)
        idleSince = undefined
        return Effect.ensuring(
          pull,
          Effect.sync(() => {
            idleSince = clock.currentTimeMillisUnsafe()
          })
        )
      })
  })

  return {
    once,
    streamed,
    /** Hidden tools are left out (SCP-06). With the scope module off nothing is hidden. */
    visible: <T extends { readonly name: string }>(tools: ReadonlyArray<T>) =>
      tools.length === 0
        ? Effect.succeed(tools)
        : Effect.flatMap(who, ({ agentId }) => scopes.filterTools(agentId, tools)).pipe(
            Effect.catchTag("ModuleDisabledError", () => Effect.succeed(tools))
          )
  }
})
