import { Clock, Context, Effect, Exit, Fiber, Layer, Result, type Scope, Stream } from "effect"
import { Hex } from "effect/encoding"
import { type CallOptions, type CallPlan, planOf } from "../schema/CallPlan.ts"
import type { ContractViolation } from "../schema/Contract.ts"
import type { AgentId, SessionId, TicketId } from "../schema/Ids.ts"
import type { AgentHaltedError, Halt } from "../schema/Presence.ts"
import type { Refusal } from "../schema/Refusal.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { ContractRoom } from "./ContractRoom.ts"
import { Evidence } from "./Evidence.ts"
import { Halts, haltedError } from "./Halts.ts"
import { type OpenCall, OpenCalls, type Spending } from "./OpenCalls.ts"
import { newTicket, Rooms } from "./Rooms.ts"
import { SubjectKeys } from "./SubjectKeys.ts"

export type { Refusal } from "../schema/Refusal.ts"
export type { Spending } from "./OpenCalls.ts"

/** Permission to make one call, good until its scope closes: then the money is settled and the outcome written. */
export interface Ticket {
  readonly id: TicketId
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  /** Says what the call has used so far. The last report counts; with none, what was held is charged. */
  readonly report: (spending: Spending) => Effect.Effect<void>
  /** Fails the moment the agent, or one above it, is halted; never succeeds. Race it against the call. */
  readonly halted: Effect.Effect<never, AgentHaltedError>
  /** The same for code outside Effect: calls back at once and synchronously, to abort a request by it. Returns what stops it. */
  readonly watchHalt: (listener: (error: AgentHaltedError) => void) => () => void
}

/** The only door. Every wrapper, and every program, gets to its call through here. */
export class Governor extends Context.Service<
  Governor,
  {
    /**
     * Passes all rooms, or fails with the first refusal, which is audited. Closing the scope settles the call once; a
     * post-condition that does not hold then is audited and logged, since a scope that closes can fail nobody.
     */
    readonly admit: (call: CallOptions) => Effect.Effect<Ticket, Refusal, Scope.Scope>
    /** Runs an effect as one governed call; a halt interrupts it. */
    readonly run: <A, E, R>(
      call: CallOptions,
      use: (ticket: Ticket) => Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | Refusal, R>
  }
>()("effect-governance/services/Governor") {}

export const make = Effect.gen(function* () {
  const rooms = yield* Rooms
  const calls = yield* OpenCalls
  const contracts = yield* ContractRoom
  const evidence = yield* Evidence
  const halts = yield* Halts
  const subjects = yield* SubjectKeys
  const services = yield* Effect.scope
  const { hash } = yield* ChainKeys
  const hashHex = (text: string) => Hex.encode(hash(text))

  /** A call that is through all rooms, in one synchronous step where that can be; `restore` covers what has to wait. */
  const begin = (
    options: CallOptions,
    clock: Clock.Clock,
    restore: Restore
  ): OpenCall | Effect.Effect<OpenCall, Refusal> => {
    const planned = planOf(options, hashHex)
    if (Result.isSuccess(planned)) return enter(planned.success, options, clock, restore)
    // Marked values in the input need their subjects' keys first; nothing else waits for that question.
    return Effect.flatMap(restore(subjects.hashing(options.input)), (marks) => {
      const again = marks === undefined ? planned : planOf(options, hashHex, marks)
      if (Result.isFailure(again)) return Effect.fail(again.failure)
      const begun = enter(again.success, options, clock, restore)
      return Effect.isEffect(begun) ? begun : Effect.succeed(begun)
    })
  }

  const enter = (
    plan: CallPlan,
    options: CallOptions,
    clock: Clock.Clock,
    restore: Restore
  ): OpenCall | Effect.Effect<OpenCall, Refusal> => {
    const ticket = newTicket()
    const passed = rooms.passNow(plan, options, ticket, clock)
    if (passed !== undefined) return calls.open(passed, clock)
    return rooms.pass(plan, options, ticket, restore).pipe(
      // A refusal is in the log before its caller hears of it. Where the store is silent nobody waits for it again.
      Effect.tapError((refusal) => {
        const written = evidence.refusal(plan, ticket, refusal)
        return refusal._tag === "StoreError" ? Effect.forkIn(written, services, { startImmediately: true }) : written
      }),
      Effect.map((admitted) => calls.open(admitted, clock))
    )
  }

  const ticketOf = (call: OpenCall): Ticket => {
    const { plan, ticket, lineage } = call.admitted
    const watchHalt: Ticket["watchHalt"] = (listener) =>
      halts.watch(lineage.path, (halt) => listener(haltedError(plan.agentId, halt, "running call")))
    return {
      id: ticket,
      agentId: plan.agentId,
      sessionId: plan.sessionId,
      report: (spending) =>
        Effect.sync(() => {
          call.spending = spending
        }),
      halted: Effect.callback<never, AgentHaltedError>((resume) =>
        Effect.sync(watchHalt((error) => resume(Effect.fail(error))))
      ),
      watchHalt
    }
  }

  /**
   * Runs in a fiber of its own, so that a halt can interrupt it; what is over at once never waits. Nothing awaits that fiber but
   * what is written here: a call that cannot be interrupted MUST NOT keep a halted caller.
   */
  const guarded = <A, E, R>(
    call: OpenCall,
    use: (ticket: Ticket) => Effect.Effect<A, E, R>,
    restore: Restore
  ): Effect.Effect<A, E | AgentHaltedError, R> =>
    Effect.flatMap(
      Effect.forkDetach(
        Effect.suspend(() => use(ticketOf(call))),
        { startImmediately: true }
      ),
      (fiber) => {
        const done = fiber.pollUnsafe()
        if (done !== undefined) return done
        const { plan, lineage } = call.admitted
        const ended = Effect.callback<A, E | AgentHaltedError>((resume) => {
          const stop = halts.watch(lineage.path, (halt: Halt) => {
            // The call gets a moment to let go of what it holds; then the caller is free, whatever the call still does.
            resume(
              Fiber.interrupt(fiber).pipe(
                Effect.timeoutOption("1 second"),
                Effect.andThen(Effect.fail(haltedError(plan.agentId, halt, "running call")))
              )
            )
          })
          fiber.addObserver((exit) => {
            stop()
            resume(exit)
          })
          return Effect.sync(stop)
        })
        return Effect.onInterrupt(restore(ended), () => Fiber.interrupt(fiber))
      }
    )

  const isBound = ({ admitted }: OpenCall) => contracts.covers(admitted.lineage.path, admitted.plan.target)

  const settled = <A, E, R>(
    call: OpenCall,
    options: CallOptions,
    use: (ticket: Ticket) => Effect.Effect<A, E, R>,
    restore: Restore
  ): Effect.Effect<A, E | AgentHaltedError | ContractViolation, R> => {
    const ran = guarded(call, use, restore)
    // Room 8: the call has run and is charged; what it returned is withheld from a caller whose contract it broke.
    const held = isBound(call)
      ? Effect.tap(ran, (result) => restore(contracts.after(call.admitted, options, result)))
      : ran
    return Effect.onExitPrimitive(held, (exit) => calls.close(call, exit))
  }

  /** A scope that closes can fail nobody: a broken contract is audited, is the outcome, and is warned of. */
  const closed = (call: OpenCall, options: CallOptions, exit: Exit.Exit<unknown, unknown>) => {
    const close = (how: Exit.Exit<unknown, unknown>) => calls.close(call, how) ?? Effect.void
    if (Exit.isFailure(exit) || !isBound(call)) return close(exit)
    return Effect.flatMap(Effect.exit(contracts.after(call.admitted, options, undefined)), (judged) =>
      Exit.isSuccess(judged)
        ? close(exit)
        : Effect.andThen(Effect.logWarning("contract.post_violation", judged.cause), close(judged))
    )
  }

  // Admission and what settles it MUST stand in one uninterruptible step: an interruption between them would leave a hold.
  return Governor.of({
    admit: (options) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.withFiber((fiber) => {
          const begun = begin(options, fiber.getRef(Clock.Clock), restore)
          return Effect.flatMap(Effect.isEffect(begun) ? begun : Effect.succeed(begun), (call) =>
            Effect.as(
              Effect.addFinalizer((exit) => closed(call, options, exit)),
              ticketOf(call)
            )
          )
        })
      ),
    run: (options, use) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.withFiber((fiber) => {
          const begun = begin(options, fiber.getRef(Clock.Clock), restore)
          return Effect.isEffect(begun)
            ? Effect.flatMap(begun, (call) => settled(call, options, use, restore))
            : settled(begun, options, use, restore)
        })
      )
  })
})

export const layer = Layer.effect(Governor, make)

type Restore = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Runs an effect as one governed call. */
export const governed =
  (call: CallOptions) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Refusal, R | Governor> =>
    Governor.use((governor) => governor.run(call, () => self))

/** Runs a stream as one governed call; it is settled when the stream ends, fails or is dropped, and a halt cuts it. */
export const governedStream =
  <A>(call: CallOptions, spending: (part: A) => Spending | undefined = () => undefined) =>
  <E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E | Refusal, R | Governor> =>
    Stream.unwrap(
      Effect.map(
        Governor.use((governor) => governor.admit(call)),
        (ticket) =>
          self.pipe(
            Stream.tap((part) => {
              const spent = spending(part)
              return spent === undefined ? Effect.void : ticket.report(spent)
            }),
            Stream.interruptWhen(ticket.halted)
          )
      )
    )
