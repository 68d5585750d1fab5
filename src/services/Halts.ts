import { Clock, Context, Deferred, Duration, Effect, type Exit, Layer, Stream } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import { AgentHaltedError, type Halt } from "../schema/Presence.ts"
import { StoreError } from "../schema/StoreError.ts"
import { within } from "./Deadline.ts"
import { PresenceStore } from "./PresenceStore.ts"
import { Settings } from "./Settings.ts"
import { Signal } from "./Signal.ts"

/**
 * What this process knows of halts: a map that is never older than `haltCacheTtl` by the monotonic clock (PRS-06, H-05), read
 * again at once when a signal says so (V8-07). Admission does not rely on it; it reads the halt fresh.
 */
export class Halts extends Context.Service<
  Halts,
  {
    /** Fails when any agent of the path is halted. One map lookup while the cache is fresh (PRF-03). */
    readonly check: (
      agentId: AgentId,
      path: ReadonlyArray<AgentId>,
      where: string
    ) => Effect.Effect<void, AgentHaltedError | StoreError>
    /** True when this process knows, freshly, that nobody on the path is halted: then `check` need not be run. */
    readonly clear: (path: ReadonlyArray<AgentId>, monotonicNanos: bigint) => boolean
    /** Calls back once: at once when an agent of the path is known to be halted, else as soon as it is. Returns how to stop. */
    readonly watch: (path: ReadonlyArray<AgentId>, listener: (halt: Halt) => void) => () => void
    /** Takes over what this process has itself just read or written. */
    readonly learn: (halt: Halt) => void
    /** Reads every halt now, past the TTL (PRS-08). */
    readonly refresh: Effect.Effect<void, StoreError>
  }
>()("effect-governance/services/Halts") {}

export const make = Effect.gen(function* () {
  const store = yield* PresenceStore
  const signal = yield* Signal
  const settings = yield* Settings
  const scope = yield* Effect.scope
  const ttl = Duration.toNanosUnsafe(settings.haltCacheTtl)
  const pause = ttl < oneSecond ? ttl : oneSecond

  let halts: ReadonlyMap<AgentId, Halt> = new Map()
  let readAt: bigint | undefined
  let failed: { readonly at: bigint; readonly error: StoreError } | undefined
  let running: Deferred.Deferred<void, StoreError> | undefined
  // Reads and what is learned beside them are numbered: a read MUST NOT bring back what was true before a later one.
  let turn = 0
  let applied = 0
  const learned = new Map<AgentId, { readonly halt: Halt; readonly turn: number }>()
  const watchers = new Set<Watcher>()

  const tell = () => {
    for (const watcher of watchers) {
      const halt = find(halts, watcher.path)
      if (halt !== undefined && watchers.delete(watcher)) watcher.listener(halt)
    }
  }

  const take = (rows: ReadonlyArray<Halt>, began: number, startedAt: bigint) => {
    if (began < applied) return
    applied = began
    readAt = startedAt
    failed = undefined
    const next = new Map(rows.map((halt) => [halt.agentId, halt]))
    for (const [agent, { halt, turn: when }] of learned) {
      if (when < began) learned.delete(agent)
      else next.set(agent, halt)
    }
    halts = next
    tell()
  }

  const read = Effect.gen(function* () {
    const startedAt = yield* Clock.monotonicTimeNanos
    const began = ++turn
    const rows = yield* within(store.halts, settings.enforcementDeadline, () => late)
    take(rows, began, startedAt)
  }).pipe(
    Effect.tapError((error) =>
      Effect.flatMap(Clock.monotonicTimeNanos, (at) => {
        failed = { at, error }
        return Effect.logWarning("presence.halt_refresh_failed", { problem: error.problem, known: halts.size })
      })
    )
  )

  // Single flight: fifty callers on an expired cache cost one query (PRS-09), and none of them can interrupt it for the others.
  const refresh = Effect.uninterruptibleMask((restore) => {
    if (running !== undefined) return restore(Deferred.await(running))
    const done = Deferred.makeUnsafe<void, StoreError>()
    running = done
    const finish = (exit: Exit.Exit<void, StoreError>) =>
      Effect.sync(() => {
        running = undefined
        Deferred.doneUnsafe(done, exit)
      })
    return Effect.andThen(
      Effect.forkIn(Effect.onExit(read, finish), scope, { startImmediately: true }),
      restore(Deferred.await(done))
    )
  })

  const fresh = Effect.clockWith((clock) => {
    const now = clock.monotonicTimeNanosUnsafe()
    if (readAt !== undefined && now - readAt < ttl) return Effect.void
    const denies = settings.haltOnUnknown === "deny"
    // A store that has just failed is not waited for by every call: INV-1.
    if (failed !== undefined && now - failed.at < pause) return denies ? Effect.fail(failed.error) : Effect.void
    return denies ? refresh : Effect.ignore(refresh)
  })

  const check = (agentId: AgentId, path: ReadonlyArray<AgentId>, where: string) =>
    Effect.flatMap(fresh, () => {
      const halt = find(halts, path)
      return halt === undefined ? Effect.void : Effect.fail(haltedError(agentId, halt, where))
    })

  yield* Effect.ignore(refresh)
  yield* Effect.forkScoped(Stream.runForEach(signal.changes("halts"), () => Effect.ignore(read)))
  // Running calls are covered by the TTL as well when no notification comes through (H-04).
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.delay(
        Effect.suspend(() => (watchers.size > 0 ? Effect.ignore(read) : Effect.void)),
        settings.haltCacheTtl
      )
    )
  )

  return Halts.of({
    check,
    clear: (path, nanos) => readAt !== undefined && nanos - readAt < ttl && find(halts, path) === undefined,
    watch: (path, listener) => {
      const watcher = { path, listener }
      watchers.add(watcher)
      if (find(halts, path) !== undefined) tell()
      return () => void watchers.delete(watcher)
    },
    learn: (halt) => {
      learned.set(halt.agentId, { halt, turn: ++turn })
      halts = new Map(halts).set(halt.agentId, halt)
      tell()
    },
    refresh: read
  })
})

export const layer = Layer.effect(Halts, make)

/** Nobody is ever halted: what `enablePresence: false` means (ENT-08). `Presence.layerOff` says so aloud. */
export const layerOff = Layer.succeed(
  Halts,
  Halts.of({
    check: () => Effect.void,
    clear: () => true,
    watch: () => () => undefined,
    learn: () => undefined,
    refresh: Effect.void
  })
)

export const haltedError = (agentId: AgentId, halt: Halt, where: string) =>
  new AgentHaltedError({
    agentId,
    haltedAgent: halt.agentId,
    haltedBy: halt.haltedBy,
    haltedAt: halt.haltedAt,
    reason: halt.reason,
    path: where
  })

interface Watcher {
  readonly path: ReadonlyArray<AgentId>
  readonly listener: (halt: Halt) => void
}

const find = (halts: ReadonlyMap<AgentId, Halt>, path: ReadonlyArray<AgentId>): Halt | undefined => {
  if (halts.size === 0) return undefined
  for (const agent of path) {
    const halt = halts.get(agent)
    if (halt !== undefined) return halt
  }
  return undefined
}

const oneSecond = 1_000_000_000n
const late = StoreError.because({ store: "PresenceStore", operation: "halts", problem: "deadline" }, undefined)
