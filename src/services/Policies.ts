import { Context, Deferred, Duration, Effect, Exit, Layer, Option, Schedule, Schema, Scope, Stream } from "effect"
import { canonicalize } from "../schema/CanonicalJson.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { escape } from "../schema/Escape.ts"
import { AgentId } from "../schema/Ids.ts"
import {
  type PolicyInput,
  type PolicyKind,
  type PolicyOf,
  policyCodecs,
  policyKinds,
  type StoredPolicy
} from "../schema/Policy.ts"
import { StoreError } from "../schema/StoreError.ts"
import { within } from "./Deadline.ts"
import { emptyMaps, type InForce, keep, put } from "./PolicyMaps.ts"
import { PolicyStore } from "./PolicyStore.ts"
import { Settings } from "./Settings.ts"
import { Signal } from "./Signal.ts"

export type { InForce } from "./PolicyMaps.ts"

/**
 * The policies of all modules in this process's memory: registered by code, preloaded from the store before anything else
 * runs (ENT-09), and read again when an operator or another process changes them (HOT-01).
 */
export class Policies extends Context.Service<
  Policies,
  {
    /** Checks and takes effect at once; the row is written behind (SCP-02). An operator's row stays in force (DEC-21). */
    readonly register: <K extends PolicyKind>(
      agentId: string,
      kind: K,
      policy: PolicyInput<K>
    ) => Effect.Effect<void, ConfigurationError>
    readonly get: <K extends PolicyKind>(agentId: AgentId, kind: K) => InForce<K> | undefined
    /** True while anything that this process registered is not stored yet. */
    readonly pending: () => boolean
    /** Waits until what this process registered for these agents is stored: a cap on its way never means no cap. */
    readonly stored: (agents: ReadonlyArray<AgentId>) => Effect.Effect<void, StoreError>
    /** Reads every row again and swaps the map in one step. */
    readonly reload: Effect.Effect<void, StoreError>
  }
>()("effect-governance/services/Policies") {}

export const make = Effect.gen(function* () {
  const store = yield* PolicyStore
  const signal = yield* Signal
  const settings = yield* Settings
  const writers = yield* Scope.make()

  let maps = emptyMaps()
  const mine = new Map<string, string>()
  const unstored = new Map<string, Pending>()
  // Reads and writes are numbered: rows read before a write of this process MUST NOT replace what it wrote.
  let turn = 0
  let applied = 0
  const written = new Map<string, number>()
  const warned = new Set<string>()

  const warnIfDiffering = (row: StoredPolicy) =>
    Effect.suspend(() => {
      const key = keyOf(row.agentId, row.kind)
      const registered = mine.get(key)
      if (registered === undefined || registered === textOf(row.body) || warned.has(key)) return Effect.void
      warned.add(key)
      return Effect.logWarning("policy.differs", {
        agent: row.agentId,
        kind: row.kind,
        source: row.source,
        version: row.version
      })
    })

  const take = Effect.fnUntraced(function* (rows: ReadonlyArray<StoredPolicy>, began: number) {
    if (began < applied) return
    const next = emptyMaps()
    const isStale = (key: string) => (written.get(key) ?? 0) > began
    for (const row of rows) {
      // What this process has just registered is newer than the rows that were read, unless an operator's row rules.
      const key = keyOf(row.agentId, row.kind)
      const isOlder = isStale(key) || (unstored.has(key) && row.source === "code")
      if (isOlder && maps[row.kind].has(row.agentId)) continue
      const decoded = yield* Effect.option(decode(row.kind, row.body))
      if (Option.isSome(decoded)) put(next, row.agentId, row.kind, { ...row, policy: decoded.value })
      else {
        // A row that this version cannot read must not loosen anything: what was in force stays.
        yield* Effect.logError("policy.unreadable", { agent: row.agentId, kind: row.kind, version: row.version })
        keep(maps, next, row.agentId, row.kind)
      }
      yield* warnIfDiffering(row)
    }
    for (const kind of policyKinds) {
      for (const agent of maps[kind].keys()) {
        const key = keyOf(agent, kind)
        if ((isStale(key) || unstored.has(key)) && !next[kind].has(agent)) keep(maps, next, agent, kind)
      }
    }
    applied = began
    maps = next
  })

  /** One fiber for each policy that is not stored: it writes the latest registration until the store has taken it. */
  const writeBehind = Effect.fnUntraced(function* <K extends PolicyKind>(agentId: AgentId, kind: K, pending: Pending) {
    const key = keyOf(agentId, kind)
    const attempt = Effect.suspend(() => {
      const { body } = pending
      return Effect.map(store.put({ agentId, kind, body, source: "code" }), (row) => ({ row, body }))
    })
    for (;;) {
      const { row, body } = yield* Effect.retry(attempt, untilStored)
      if (pending.body !== body) continue
      const decoded = yield* Effect.option(decode(kind, row.body))
      if (Option.isSome(decoded)) put(maps, agentId, kind, { ...row, policy: decoded.value })
      written.set(key, ++turn)
      unstored.delete(key)
      yield* Deferred.succeed(pending.done, undefined)
      yield* warnIfDiffering(row)
      return yield* signal.publish("policies", agentId)
    }
  })

  const register = Effect.fn("Policies.register")(function* <K extends PolicyKind>(
    id: string,
    kind: K,
    input: PolicyInput<K>
  ) {
    const agentId = yield* decodeAgent(id)
    const policy = yield* Effect.mapError(
      decode(kind, input),
      (error) => new ConfigurationError({ setting: `${kind} policy of ${agentId}`, problem: error.message })
    )
    const body = yield* encode(kind, policy)
    const key = keyOf(agentId, kind)
    mine.set(key, textOf(body))
    warned.delete(key)
    if (maps[kind].get(agentId)?.source !== "operator")
      put(maps, agentId, kind, { policy, body, source: "code", version: 0 })
    const waiting = unstored.get(key)
    if (waiting !== undefined) {
      waiting.body = body
      return
    }
    const pending: Pending = { agentId, kind, body, done: yield* Deferred.make<void, StoreError>() }
    unstored.set(key, pending)
    // On memory stores this is over before `register` returns; else it is retried until stored or until the scope closes (ENT-10).
    yield* Effect.forkIn(writeBehind(agentId, kind, pending), writers, { startImmediately: true })
  })

  const stored = (agents: ReadonlyArray<AgentId>): Effect.Effect<void, StoreError> => {
    if (unstored.size === 0) return Effect.void
    const pending = agents.flatMap((agent) => policyKinds.flatMap((kind) => unstored.get(keyOf(agent, kind)) ?? []))
    return Effect.forEach(pending, ({ done }) => Deferred.await(done), { discard: true }).pipe(
      Effect.timeoutOrElse({
        duration: settings.enforcementDeadline,
        orElse: () => Effect.fail(trouble("put", "deadline"))
      })
    )
  }

  const reload = Effect.suspend(() => {
    const began = ++turn
    return Effect.flatMap(
      within(store.all, fiveSeconds, () => trouble("all", "deadline")),
      (rows) => take(rows, began)
    )
  })
  const refresh = Effect.catch(reload, (error) => Effect.logWarning("policy.reload_failed", { problem: error.problem }))

  // A database that is down at start must not stop the host (INV-1): what code registers is in force, the rest comes later.
  yield* Effect.catch(reload, (error) =>
    Effect.logError("policy.preload_failed", { problem: error.problem }).pipe(
      Effect.andThen(Effect.forkScoped(Effect.retry(reload, untilStored)))
    )
  )
  if (settings.hotReload !== false) {
    yield* Effect.forkScoped(Stream.runForEach(signal.changes("policies"), () => refresh))
    yield* Effect.forkScoped(Effect.forever(Effect.delay(refresh, settings.hotReloadInterval)))
  }

  // Whatever still waits gets one more attempt, without the pauses in between (ENT-10, ENT-12).
  const drain = Effect.gen(function* () {
    yield* Scope.close(writers, Exit.void)
    const left = [...unstored.values()]
    const writes = Effect.forEach(
      left,
      ({ agentId, kind, body }) => store.put({ agentId, kind, body, source: "code" }),
      {
        concurrency: 8,
        discard: true
      }
    )
    yield* Effect.catch(
      within(writes, fiveSeconds, () => trouble("put", "deadline")),
      (error) => Effect.logWarning("policy.not_stored", { policies: left.length, problem: error.problem })
    )
    yield* Effect.forEach(left, ({ done }) => Deferred.fail(done, trouble("put", "closed")), { discard: true })
  })
  yield* Effect.addFinalizer(() => drain)

  return Policies.of({
    register,
    get: (agentId, kind) => maps[kind].get(agentId),
    pending: () => unstored.size > 0,
    stored,
    reload
  })
})

export const layer = Layer.effect(Policies, make)

/** A registration that the store does not have yet. `body` is the latest. */
interface Pending {
  readonly agentId: AgentId
  readonly kind: PolicyKind
  body: Schema.Json
  readonly done: Deferred.Deferred<void, StoreError>
}

const keyOf = (agentId: AgentId, kind: PolicyKind) => `${kind} ${agentId}`
/** Two bodies with the same text are the same policy, whatever the order of their keys. */
const textOf = (body: Schema.Json) => canonicalize(escape(body))

const decode = <K extends PolicyKind>(kind: K, body: unknown): Effect.Effect<PolicyOf<K>, Schema.SchemaError> =>
  Schema.decodeUnknownEffect(policyCodecs[kind])(body, { onExcessProperty: "error", errors: "all" })

const encode = <K extends PolicyKind>(kind: K, policy: PolicyOf<K>): Effect.Effect<Schema.Json> =>
  Schema.encodeUnknownEffect(Schema.toCodecJson(policyCodecs[kind]))(policy).pipe(Effect.orDie)

const decodeAgent = (id: string) =>
  Effect.mapError(
    Schema.decodeUnknownEffect(AgentId)(id),
    () => new ConfigurationError({ setting: "agentId", problem: "must have 1 to 256 characters" })
  )

const untilStored = Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]))
const fiveSeconds = Duration.seconds(5)
const trouble = (operation: "all" | "put", problem: StoreError["problem"]) =>
  StoreError.because({ store: "PolicyStore", operation, problem }, undefined)
