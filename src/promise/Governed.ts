import { AsyncLocalStorage } from "node:async_hooks"
import { Context, Effect, Result, Stream } from "effect"
import { outside } from "../integrations/CurrentCall.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { parseUsd } from "../schema/Money.ts"
import { Coverage } from "../services/Coverage.ts"
import type { Gates } from "../services/Gates.ts"
import { requireApproval } from "../services/GovernedTool.ts"
import * as Governor from "../services/Governor.ts"
import type { Call, Spending, Ticket, ToolCall } from "./Call.ts"
import type { OpenWork, Running, Waiting } from "./Running.ts"

/** The calls that pass all rooms. */
export interface Governing {
  /**
   * Runs `use` as one governed call, when it is allowed, affordable, approved and the agent is not halted; else rejects, and
   * `use` has not run. What `use` throws comes out as it is.
   */
  governed<A>(call: Call, use: (ticket: Ticket) => A | PromiseLike<A>, waiting?: Waiting): Promise<A>
  /** The same for a reply that comes in parts: it is settled when the loop over it ends, and a halt cuts it. */
  governedStream<A>(
    call: Call,
    use: (ticket: Ticket) => AsyncIterable<A> | PromiseLike<AsyncIterable<A>>,
    waiting?: Waiting
  ): AsyncIterable<A>
  /**
   * Puts a person before a function, whatever the policy says. `use` gets a copy of the input that was approved; where the
   * reviewer changed the arguments, those.
   */
  requireApproval<A>(
    call: Omit<ToolCall, "input">,
    use: (input: unknown, ticket: Ticket) => A | PromiseLike<A>
  ): (input: unknown, waiting?: Waiting) => Promise<A>
}

export const make = (running: Running<Governor.Governor | Gates | Coverage>): Governing => ({
  governed: (call, use, waiting) => {
    const work = idle()
    const inside = whereCalled()
    return running.promise(
      Governor.Governor.use((governor) =>
        governor.run(call, (ticket) =>
          calling(running, work, ticket, waiting, (signal, isOpen) =>
            inside(() => covered(running, call, isOpen, () => use(shown(ticket, signal))))
          )
        )
      ),
      waiting,
      work
    )
  },
  governedStream: (call, use, waiting) => {
    const inside = whereCalled()
    return running.iterable(
      Stream.unwrap(
        Effect.gen(function* () {
          const governor = yield* Governor.Governor
          const ticket = yield* governor.admit(call)
          const { opened } = yield* Effect.acquireRelease(
            Effect.sync(() => {
              const opened = new AbortController()
              return { opened, stop: ticket.watchHalt((halt) => opened.abort(halt)) }
            }),
            ({ opened, stop }) =>
              Effect.sync(() => {
                stop()
                opened.abort(waiting?.signal?.reason)
              })
          )
          const isOpen = () => !opened.signal.aborted
          const enclosed = <B>(run: () => B): B => covered(running, call, isOpen, run)
          const parts = yield* Effect.tryPromise({
            try: async () => inside(() => enclosed(() => use(shown(ticket, opened.signal)))),
            catch: (error) => error
          })
          return Stream.fromAsyncIterable(
            readBy((next) => inside(() => enclosed(next)), parts),
            (error) => error
          ).pipe(Stream.interruptWhen(ticket.halted))
        })
      ),
      waiting
    )
  },
  requireApproval: (call, use) => {
    const approved = (work: OpenWork, waiting: Waiting | undefined) => {
      const inside = whereCalled()
      return requireApproval(call)((input, ticket) =>
        calling(running, work, ticket, waiting, (signal) => inside(use, input, shown(ticket, signal)))
      )
    }
    return (input, waiting) => {
      const work = idle()
      return running.promise(approved(work, waiting)(input), waiting, work)
    }
  }
})

/** Async local storage of the host's is there inside its function; a wrapped client in it makes calls of its own. */
const whereCalled = () => outside(() => AsyncLocalStorage.snapshot())

/** An async generator runs where its `next` is called. */
const readBy = <A>(inside: <B>(run: () => B) => B, parts: AsyncIterable<A>): AsyncIterable<A> => ({
  [Symbol.asyncIterator]: () => {
    const source = parts[Symbol.asyncIterator]()
    return {
      next: () => inside(() => source.next()),
      return: async () => (await inside(async () => source.return?.())) ?? { done: true, value: undefined }
    }
  }
})

/** What the function of a model call sends while the call is open is governed (BEY-13). */
const covered = <A>(running: Running<Coverage>, call: Call, isOpen: () => boolean, run: () => A): A =>
  "model" in call ? Context.get(running.context, Coverage).enclose(isOpen, run) : run()

const idle = (): OpenWork => ({ idle: true, interrupt: () => {} })

/** A promise as an effect that stops waiting for it when it is interrupted: what the promise does then is its own affair. */
const calling = <A>(
  running: Running<never>,
  work: OpenWork,
  ticket: Governor.Ticket,
  waiting: Waiting | undefined,
  use: (signal: AbortSignal, isOpen: () => boolean) => A | PromiseLike<A>
): Effect.Effect<A, unknown> =>
  Effect.callback<A, unknown>((resume) => {
    work.idle = false
    const controller = new AbortController()
    let isOpen = true
    // Registered before the governor's own, so that the signal has the halt for its reason.
    const stop = ticket.watchHalt((halt) => controller.abort(halt))
    const settled = (effect: Effect.Effect<A, unknown>) => {
      isOpen = false
      stop()
      resume(effect)
    }
    // Whatever it throws is a rejection, as in an async function.
    const promise = (async () => use(controller.signal, () => isOpen))()
    promise.then(
      (value) => settled(Effect.succeed(value)),
      (error) => settled(Effect.fail(error))
    )
    return Effect.sync(() => {
      isOpen = false
      stop()
      controller.abort(waiting?.signal?.aborted === true ? waiting.signal.reason : running.reason(work))
    })
  })

const shown = (ticket: Governor.Ticket, signal: AbortSignal): Ticket => ({
  id: ticket.id,
  agentId: ticket.agentId,
  sessionId: ticket.sessionId,
  signal,
  report: (spending) => Effect.runSync(ticket.report(spendingOf(spending)))
})

const spendingOf = (spending: Spending): Governor.Spending => {
  if ("usage" in spending) return spending
  const { model, tokens, usd } = spending
  const nano = Result.getOrElse(parseUsd(usd), ({ problem }) => {
    throw new InvalidInput({ field: "usd", problem })
  })
  if (tokens !== undefined && !(Number.isSafeInteger(tokens) && tokens >= 0)) {
    throw new InvalidInput({ field: "tokens", problem: "must be a whole number of tokens, 0 or more" })
  }
  return {
    usd: nano,
    ...(tokens === undefined ? {} : { tokens: BigInt(tokens) }),
    ...(model === undefined ? {} : { model })
  }
}
