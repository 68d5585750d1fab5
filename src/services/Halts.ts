import { Clock, Context, Duration, Effect, Fiber, Layer, Option, Stream } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import { AgentHaltedError, type Halt } from "../schema/Presence.ts"
import { StoreError } from "../schema/StoreError.ts"
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
    /** The halt of the agent itself, if there is one. */
    readonly get: (agentId: AgentId) => Effect.Effect<Option.Option<Halt>, StoreError>
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

  let halts: ReadonlyMap<AgentId, Halt> = new Map()
  let readAt: bigint | undefined
  let running: Fiber.Fiber<void, StoreError> | undefined
  const watchers = new Set<Watcher>()

  const tell = () => {
    for (const watcher of watchers) {
      const halt = find(halts, watcher.path)
      if (halt !== undefined && watchers.delete(watcher)) watcher.listener(halt)
    }
  }

  const read = Effect.gen(function* () {
    const startedAt = yield* Clock.monotonicTimeNanos
    const rows = yield* store.halts
    halts = new Map(rows.map((halt) => [halt.agentId, halt]))
    readAt = startedAt
    tell()
  }).pipe(
    Effect.tapError((error) =>
      Effect.logWarning("presence.halt_refresh_failed", { problem: error.problem, known: halts.size })
    )
  )

  // Single flight: fifty callers on an expired cache cost one query (PRS-09), and none of them can interrupt it for the others.
  const refresh = Effect.suspend(() => {
    if (running !== undefined) return Fiber.join(running)
    return Effect.forkIn(read, scope).pipe(
      Effect.tap((fiber) =>
        Effect.sync(() => {
          running = fiber
          fiber.addObserver(() => {
            running = undefined
          })
        })
      ),
      Effect.flatMap(Fiber.join)
    )
  }).pipe(Effect.timeoutOrElse({ duration: settings.enforcementDeadline, orElse: () => Effect.fail(late) }))

  const fresh = Effect.clockWith((clock) => {
    if (readAt !== undefined && clock.monotonicTimeNanosUnsafe() - readAt < ttl) return Effect.void
    return settings.haltOnUnknown === "deny" ? refresh : Effect.ignore(refresh)
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
    get: (agentId) => Effect.map(fresh, () => Option.fromUndefinedOr(halts.get(agentId))),
    watch: (path, listener) => {
      const watcher = { path, listener }
      watchers.add(watcher)
      if (find(halts, path) !== undefined) tell()
      return () => void watchers.delete(watcher)
    },
    learn: (halt) => {
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
    get: () => Effect.succeedNone,
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

const late = StoreError.because({ store: "PresenceStore", operation: "halts", problem: "deadline" }, undefined)
