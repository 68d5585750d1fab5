import { Context, Duration, Effect, Layer, Option, Result, Schema } from "effect"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import { normaliseReason } from "../schema/HaltReason.ts"
import { AgentId, OperatorId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { snapshot } from "../schema/Json.ts"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import {
  type AgentHaltedError,
  type AgentPresence,
  type DelegationError,
  type Halt,
  HaltPersistenceError,
  type Lineage
} from "../schema/Presence.ts"
import { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { within } from "./Deadline.ts"
import { Halts } from "./Halts.ts"
import { HaltWriter } from "./HaltWriter.ts"
import { Lineages } from "./Lineages.ts"
import { PresenceStore } from "./PresenceStore.ts"
import { Settings } from "./Settings.ts"
import { Signal } from "./Signal.ts"
import { standing } from "./Standing.ts"

/** Who is there, who may stop whom, and the switch that does it. Observation never fails; enforcement does (RES-01, RES-02). */
export class Presence extends Context.Service<
  Presence,
  {
    /** Marks the agent live; every 30 seconds is a good cadence. Metadata above 64 KiB is refused (PRS-01). */
    readonly heartbeat: (
      agentId: string,
      options?: { readonly metadata?: Record<string, unknown>; readonly operatorId?: string }
    ) => Effect.Effect<void, InvalidInput | ModuleDisabledError>
    readonly markIdle: (agentId: string) => Effect.Effect<void, InvalidInput | ModuleDisabledError>
    /** Removes the agent's row; a halt stays in force (PRS-16). */
    readonly closeAgent: (agentId: string) => Effect.Effect<void, InvalidInput | ModuleDisabledError>
    /** Empty when the store does not answer. */
    readonly listAgents: Effect.Effect<ReadonlyArray<AgentPresence>>
    /** Marks agents not seen for that long (default 300 seconds) as unresponsive and returns their ids. */
    readonly checkStale: (timeout?: Duration.Input) => Effect.Effect<ReadonlyArray<AgentId>>
    /** By the cache of at most `haltCacheTtl`; never fails (PRS-06). */
    readonly isHalted: (agentId: string) => Effect.Effect<boolean>
    readonly assertNotHalted: (
      agentId: string
    ) => Effect.Effect<void, AgentHaltedError | InvalidInput | StoreError | ModuleDisabledError>
    readonly forceRefreshHaltedCache: Effect.Effect<void>
    /** Stops an agent and all it delegates to, in every process; the act and its audit row are one transaction. Idempotent. */
    readonly halt: (
      agentId: string,
      act: { readonly by: string; readonly reason: string }
    ) => Effect.Effect<Halt, HaltPersistenceError | InvalidInput | ModuleDisabledError>
    /** Ends a halt; none when there was none (V8-09). */
    readonly resume: (
      agentId: string,
      act: { readonly by: string; readonly reason?: string }
    ) => Effect.Effect<Option.Option<Halt>, HaltPersistenceError | InvalidInput | ModuleDisabledError>
    /** Makes `child` a delegate of `parent`, before its first use and for good: it draws from the parent's budget (BEY-09). */
    readonly delegate: (
      parent: string,
      child: string
    ) => Effect.Effect<Lineage, DelegationError | InvalidInput | StoreError | ModuleDisabledError>
  }
>()("effect-governance/services/Presence") {}

export const make = Effect.gen(function* () {
  const store = yield* PresenceStore
  const writer = yield* HaltWriter
  const halts = yield* Halts
  const signal = yield* Signal
  const lineages = yield* Lineages
  const settings = yield* Settings
  const stand = standing(lineages, halts)
  const actBound = Duration.times(settings.enforcementDeadline, 5)

  const observe = <A>(operation: string, self: Effect.Effect<A, StoreError>, otherwise: A): Effect.Effect<A> =>
    Effect.catch(within(self, settings.enforcementDeadline, tooLate(operation)), (error) =>
      Effect.as(Effect.logWarning(`presence.${operation}_failed`, { problem: error.problem }), otherwise)
    )

  const beat = Effect.fnUntraced(function* (
    id: string,
    status: "live" | "idle",
    options: { readonly metadata?: Record<string, unknown>; readonly operatorId?: string }
  ) {
    const agentId = yield* decodeAgent(id)
    const operatorId = options.operatorId === undefined ? null : yield* decodeOperator(options.operatorId)
    const metadata = options.metadata === undefined ? null : yield* decodeMetadata(options.metadata)
    yield* observe("heartbeat", store.heartbeat({ agentId, status, operatorId, metadata }), undefined)
  })

  /** The signal follows the commit. */
  const act = <A>(
    agentId: AgentId,
    operation: "halt" | "resume",
    change: (store: PresenceStore["Service"]) => Effect.Effect<A, StoreError>,
    event: (result: A) => AuditEventInput | undefined,
    take: (result: A) => Effect.Effect<void>
  ) =>
    Effect.uninterruptibleMask((restore) =>
      restore(within(writer.commit(change, event), actBound, tooLate(operation))).pipe(
        Effect.mapError((error) => new HaltPersistenceError({ agentId, operation, problem: error.message })),
        // What is committed is made known, also when whoever asked for it has gone meanwhile.
        Effect.tap(take),
        Effect.tap(() => signal.publish("halts", agentId))
      )
    )

  return Presence.of({
    heartbeat: Effect.fn("Presence.heartbeat")((id, options = {}) => beat(id, "live", options)),
    markIdle: Effect.fn("Presence.markIdle")((id) => beat(id, "idle", {})),
    closeAgent: Effect.fn("Presence.closeAgent")(function* (id) {
      const agentId = yield* decodeAgent(id)
      yield* observe("close", store.remove(agentId), undefined)
    }),
    listAgents: Effect.withSpan(observe("list", store.list, []), "Presence.listAgents"),
    checkStale: Effect.fn("Presence.checkStale")((timeout = Duration.seconds(300)) =>
      Option.match(Duration.fromInput(timeout), {
        onNone: () => Effect.as(Effect.logWarning("presence.check_stale_failed", { problem: "no duration" }), []),
        onSome: (age) => observe("check_stale", store.markStale(Duration.toMillis(age)), [])
      })
    ),
    isHalted: Effect.fn("Presence.isHalted")(function* (id) {
      const agentId = yield* Effect.option(decodeAgent(id))
      if (Option.isNone(agentId)) return false
      return yield* stand(agentId.value, "is_halted").pipe(
        Effect.as(false),
        Effect.catchTag("AgentHaltedError", () => Effect.succeed(true)),
        Effect.catchTag("StoreError", () => Effect.succeed(false))
      )
    }),
    assertNotHalted: Effect.fn("Presence.assertNotHalted")(function* (id) {
      const agentId = yield* decodeAgent(id)
      yield* stand(agentId, "assert_not_halted")
    }),
    forceRefreshHaltedCache: Effect.ignore(halts.refresh),
    halt: Effect.fn("Presence.halt")(function* (id, { by, reason }) {
      const agentId = yield* decodeAgent(id)
      const haltedBy = yield* decodeOperator(by)
      const why = yield* decodeReason(reason)
      const { halt } = yield* act(
        agentId,
        "halt",
        (presence) => presence.halt({ agentId, haltedBy, reason: why }),
        ({ changed }) =>
          changed ? { kind: "agent.halted", agentId, metadata: { by: haltedBy, reason: why } } : undefined,
        (result) => Effect.sync(() => halts.learn(result.halt))
      )
      return halt
    }),
    resume: Effect.fn("Presence.resume")(function* (id, { by, reason = "" }) {
      const agentId = yield* decodeAgent(id)
      const operator = yield* decodeOperator(by)
      const why = yield* decodeReason(reason)
      const lifted = yield* act(
        agentId,
        "resume",
        (presence) => presence.resume(agentId),
        (halt) =>
          halt === null
            ? undefined
            : { kind: "agent.restored", agentId, metadata: { by: operator, reason: why, haltedBy: halt.haltedBy } },
        () => Effect.ignore(halts.refresh)
      )
      return Option.fromNullOr(lifted)
    }),
    delegate: Effect.fn("Presence.delegate")(function* (parentId, childId) {
      return yield* lineages.delegate(yield* decodeAgent(parentId), yield* decodeAgent(childId))
    })
  })
})

export const layer = Layer.effect(Presence, make)

const off = new ModuleDisabledError({ module: "presence" })
const disabled = Effect.fail(off)
// These have no error channel: there is nothing else that could be told apart from an empty answer.
const disabledQuietly = Effect.die(off)

/** The halt switch is off with it, everywhere: nobody can stop an agent (ENT-08). Warned once; calls fail loudly. */
export const layerOff = Layer.effect(
  Presence,
  Effect.as(
    Effect.logWarning("presence.disabled", { effect: "the halt switch does not work in this process" }),
    Presence.of({
      heartbeat: () => disabled,
      markIdle: () => disabled,
      closeAgent: () => disabled,
      listAgents: disabledQuietly,
      checkStale: () => disabledQuietly,
      isHalted: () => disabledQuietly,
      assertNotHalted: () => disabled,
      forceRefreshHaltedCache: disabledQuietly,
      halt: () => disabled,
      resume: () => disabled,
      delegate: () => disabled
    })
  )
)

const decodeAgent = (value: string) => decodeArgument(AgentId, "agentId", value)
const decodeOperator = (value: string) => decodeArgument(OperatorId, "operatorId", value)

const decodeReason = (value: string) =>
  typeof value === "string"
    ? Effect.succeed(normaliseReason(value))
    : Effect.fail(new InvalidInput({ field: "reason", problem: "must be text" }))

/** The snapshot, not the value: what was checked is what is stored. */
const decodeMetadata = (value: Record<string, unknown>) =>
  Effect.fromResult(
    Result.flatMap(
      Result.mapError(snapshot(value), (error) => error.message),
      (json) => (isRecord(json) ? Result.succeed(entriesOf(json)) : Result.fail("must be an object"))
    )
  ).pipe(Effect.mapError((problem) => new InvalidInput({ field: "metadata", problem })))

// Postgres takes neither a NUL nor half a surrogate pair. A heartbeat is no evidence, so the character is replaced, in keys too.
const storable = (value: unknown): unknown => {
  if (typeof value === "string") return value.toWellFormed().replaceAll("\0", "\uFFFD")
  if (Array.isArray(value)) return value.map(storable)
  return isRecord(value) ? entriesOf(value) : value
}
const entriesOf = (record: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [String(storable(key)), storable(value)]))

const isRecord = Schema.is(Schema.Record(Schema.String, Schema.Unknown))

const tooLate = (operation: string) => () =>
  StoreError.because({ store: "PresenceStore", operation, problem: "deadline" }, undefined)
