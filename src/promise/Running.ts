import { Cause, type Context, Deferred, Effect, Exit, type Fiber, Layer, ManagedRuntime, Stream } from "effect"
import { KeepsProcessAlive } from "../layers/postgres/IdleSocket.ts"
import { GovernanceClosed } from "../schema/GovernanceClosed.ts"
import * as IdleClock from "./IdleClock.ts"
import { KeepAlive } from "./KeepAlive.ts"
import * as Log from "./Log.ts"

/** How a caller stops waiting. */
export interface Waiting {
  /** Ends the wait: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** One call of the facade. While it is `idle` it waits for a person, and closing does not wait for it. */
export interface OpenWork {
  idle: boolean
  interrupt: () => void
}

/** The one runtime behind a facade: what runs in it, and how all of it ends (ENT-12, SYN-01). */
export class Running<R> {
  readonly #runtime: ManagedRuntime.ManagedRuntime<R, never>
  readonly #alive: KeepAlive
  readonly #work = new Set<OpenWork>()
  readonly #ending = Deferred.makeUnsafe<void>()
  #settled: (() => void) | undefined
  #closing: Promise<void> | undefined
  readonly context: Context.Context<R>

  private constructor(runtime: ManagedRuntime.ManagedRuntime<R, never>, context: Context.Context<R>, alive: KeepAlive) {
    this.#runtime = runtime
    this.#alive = alive
    this.context = context
    open.add(this)
    if (open.size === 1) process.on("beforeExit", closeAll)
  }

  /** Rejects with the very error of a layer that could not be built, and leaves nothing behind then. */
  static async start<R, E>(layer: Layer.Layer<R, E>, logging: Log.Logging): Promise<Running<R>> {
    const alive = new KeepAlive()
    const idle = Layer.mergeAll(IdleClock.layer, Layer.succeed(KeepsProcessAlive, false), Log.layer(logging))
    const runtime = ManagedRuntime.make(Layer.provideMerge(layer, idle))
    alive.hold()
    try {
      const context = await runtime.context()
      // What could fail has been built: nothing that runs in the runtime fails with the layer's error any more.
      return new Running(runtime as unknown as ManagedRuntime.ManagedRuntime<R, never>, context, alive)
    } catch (error) {
      await runtime.dispose()
      alive.end()
      throw error
    } finally {
      alive.release()
    }
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** The fiber of an effect, for wrappers; closing interrupts it as it does everything else. */
  fork<A, E>(effect: Effect.Effect<A, E, R>): Fiber.Fiber<A, E> {
    if (this.isClosed) return Effect.runFork(Effect.die(new GovernanceClosed({ problem: "closed" })))
    return this.#tracked(effect, { idle: false, interrupt: () => {} }, () => {})
  }

  /** Rejects with the very error that the effect fails with. */
  promise<A, E>(
    effect: Effect.Effect<A, E, R>,
    { signal }: Waiting = {},
    work: OpenWork = { idle: false, interrupt: () => {} }
  ): Promise<A> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) return reject(new GovernanceClosed({ problem: "closed" }))
      if (signal?.aborted === true) return reject(signal.reason)
      const stop = () => work.interrupt()
      signal?.addEventListener("abort", stop, { once: true })
      this.#tracked(effect, work, (exit) => {
        signal?.removeEventListener("abort", stop)
        if (Exit.isSuccess(exit)) return resolve(exit.value)
        if (!Cause.hasInterruptsOnly(exit.cause)) return reject(Cause.squash(exit.cause))
        reject(signal?.aborted === true ? signal.reason : this.reason(work))
      })
    })
  }

  /** Ends, without an error, when this is closed; leaving the loop stops the stream. */
  endless<A, E>(stream: Stream.Stream<A, E, R>, waiting: Waiting = {}): AsyncIterable<A> {
    const ended = Stream.interruptWhen(stream, Deferred.await(this.#ending))
    return { [Symbol.asyncIterator]: () => this.#iterator(ended, waiting, undefined) }
  }

  /** Work like a promise: closing waits for its end, and one that is cut says so. */
  iterable<A, E>(stream: Stream.Stream<A, E, R>, waiting: Waiting = {}): AsyncIterable<A> {
    return { [Symbol.asyncIterator]: () => this.#iterator(stream, waiting, { idle: false, interrupt: () => {} }) }
  }

  /** What work hears that this stops. */
  reason(work: OpenWork): unknown {
    return this.isClosed
      ? new GovernanceClosed({ problem: work.idle ? "closed" : "running" })
      : new DOMException("This operation was aborted", "AbortError")
  }

  /** Takes no more calls, lets those that run end (5 s at most), writes down what is still on its way, and lets go. */
  close(): Promise<void> {
    this.#closing ??= this.#shut()
    return this.#closing
  }

  #tracked<A, E>(effect: Effect.Effect<A, E, R>, work: OpenWork, done: (exit: Exit.Exit<A, E>) => void) {
    this.#alive.hold()
    this.#work.add(work)
    const fiber = this.#runtime.runFork(effect)
    work.interrupt = () => fiber.interruptUnsafe()
    fiber.addObserver((exit) => {
      this.#alive.release()
      done(exit)
      this.#ended(work)
    })
    return fiber
  }

  #iterator<A, E>(stream: Stream.Stream<A, E, R>, { signal }: Waiting, work: OpenWork | undefined): AsyncIterator<A> {
    const source = Stream.toAsyncIterableWith(stream, this.context)[Symbol.asyncIterator]()
    let stopped: { readonly reason: unknown } | undefined
    let giveUp: (reason: unknown) => void = () => {}
    const stop = (reason: unknown) => {
      stopped = { reason }
      giveUp(reason)
      // Whoever reads hears the reason; how the stream takes its end is nobody's affair any more.
      finish().catch(() => {})
    }
    const abort = () => stop(signal?.reason)
    const over = () => {
      signal?.removeEventListener("abort", abort)
      this.#ended(work)
    }
    const finish = async (): Promise<IteratorResult<A>> => {
      over()
      await source.return?.()
      return { done: true, value: undefined }
    }
    const begin = () => {
      if (work === undefined || this.#work.has(work)) return
      if (this.isClosed) return stop(new GovernanceClosed({ problem: "closed" }))
      work.interrupt = () => stop(this.reason(work))
      this.#work.add(work)
    }
    if (signal?.aborted === true) abort()
    else signal?.addEventListener("abort", abort, { once: true })
    let begun = false
    return {
      next: () => {
        if (!begun) begin()
        begun = true
        if (stopped !== undefined) return Promise.reject(stopped.reason)
        this.#alive.hold()
        return new Promise<IteratorResult<A>>((resolve, reject) => {
          giveUp = reject
          source.next().then(resolve, reject)
        })
          .then((part) => {
            if (part.done === true) over()
            return part
          })
          .catch((error) => {
            over()
            throw error
          })
          .finally(() => this.#alive.release())
      },
      return: finish
    }
  }

  #ended(work: OpenWork | undefined): void {
    if (work !== undefined && this.#work.delete(work) && this.#work.size === 0) this.#settled?.()
  }

  async #shut(): Promise<void> {
    open.delete(this)
    if (open.size === 0) process.off("beforeExit", closeAll)
    this.#alive.hold()
    Deferred.doneUnsafe(this.#ending, Exit.void)
    // A call that waits for a person finds its request again; a call that is being admitted gets its answer.
    await this.#quiet(admissionMs)
    for (const work of this.#work) if (work.idle) work.interrupt()
    await this.#quiet(closeMs - admissionMs)
    for (const work of this.#work) work.interrupt()
    await this.#quiet(admissionMs)
    await this.#runtime.dispose()
    this.#alive.release()
    this.#alive.end()
  }

  /** Until nothing runs any more, or that many milliseconds. */
  #quiet(millis: number): Promise<void> {
    if (this.#work.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, millis)
      this.#settled = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** A script has nothing left to do and forgot to close: what waits to be written is written. */
const closeAll = () => {
  for (const running of open) void running.close()
}
const open = new Set<{ readonly close: () => Promise<void> }>()

const closeMs = 5000
const admissionMs = 1000
