import { Context, Duration, Effect, Layer, Option } from "effect"
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
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { Halts } from "./Halts.ts"
import { Lineages } from "./Lineages.ts"
import { PresenceStore } from "./PresenceStore.ts"
import { Signal } from "./Signal.ts"
import { StoreTransaction } from "./StoreTransaction.ts"

/** Who is there, who may stop whom, and the switch that does it. Observation never fails; enforcement does (RES-01, RES-02). */
export class Presence extends Context.Service<
  Presence,
  {
    /** Marks the agent live; every 30 seconds is a good cadence. Metadata above 64 KiB is refused (PRS-01). */
    readonly heartbeat: (
      agentId: string,
      options?: { readonly metadata?: Record<string, unknown>; readonly operatorId?: string }
    ) => Effect.Effect<void, InvalidInput>
    readonly markIdle: (agentId: string) => Effect.Effect<void, InvalidInput>
    /** Removes the agent's row; a halt stays in force (PRS-16). */
    readonly closeAgent: (agentId: string) => Effect.Effect<void, InvalidInput>
    /** Empty when the store does not answer. */
    readonly listAgents: Effect.Effect<ReadonlyArray<AgentPresence>>
    /** Marks agents not seen for that long (default 300 seconds) as unresponsive and returns their ids. */
    readonly checkStale: (timeout?: Duration.Input) => Effect.Effect<ReadonlyArray<AgentId>>
    /** By the cache of at most `haltCacheTtl`; never fails (PRS-06). */
    readonly isHalted: (agentId: string) => Effect.Effect<boolean>
    readonly assertNotHalted: (agentId: string) => Effect.Effect<void, AgentHaltedError | InvalidInput | StoreError>
    readonly forceRefreshHaltedCache: Effect.Effect<void>
    /** Stops an agent and all it delegates to, in every process; the act and its audit row are one transaction. Idempotent. */
    readonly halt: (
      agentId: string,
      act: { readonly by: string; readonly reason: string }
    ) => Effect.Effect<Halt, HaltPersistenceError | InvalidInput>
    /** Ends a halt; none when there was none (V8-09). */
    readonly resume: (
      agentId: string,
      act: { readonly by: string; readonly reason?: string }
    ) => Effect.Effect<Option.Option<Halt>, HaltPersistenceError | InvalidInput>
    /** Makes `child` a delegate of `parent`, before its first use and for good: it draws from the parent's budget (BEY-09). */
    readonly delegate: (
      parent: string,
      child: string
    ) => Effect.Effect<Lineage, DelegationError | InvalidInput | StoreError>
  }
>()("effect-governance/services/Presence") {}

export const make = Effect.gen(function* () {
  const store = yield* PresenceStore
  const transaction = yield* StoreTransaction
  const audit = yield* Audit
  const halts = yield* Halts
  const signal = yield* Signal
  const lineages = yield* Lineages

  const observe = <A>(operation: string, self: Effect.Effect<A, StoreError>, otherwise: A): Effect.Effect<A> =>
    Effect.catch(self, (error) =>
      Effect.as(Effect.logWarning(`presence.${operation}_failed`, { problem: error.problem }), otherwise)
    )

  const pathOf = (agentId: AgentId) => observe("lineage", lineages.of(agentId), lineages.known(agentId))

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

  /** One transaction: the tree's row first, then the head of the agent's chain. The signal follows the commit. */
  const act = <A>(
    agentId: AgentId,
    operation: "halt" | "resume",
    change: Effect.Effect<A, StoreError>,
    event: (result: A) => Parameters<Audit["Service"]["requireInTransaction"]>[0] | undefined
  ) =>
    transaction
      .run(
        Effect.tap(change, (result) => {
          const row = event(result)
          return row === undefined ? Effect.void : audit.requireInTransaction(row)
        })
      )
      .pipe(
        Effect.mapError((error) => new HaltPersistenceError({ agentId, operation, problem: error.message })),
        Effect.tap(() => Effect.ignore(halts.refresh)),
        Effect.tap(() => signal.publish("halts", agentId))
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
      observe("check_stale", store.markStale(Duration.toMillis(timeout)), [])
    ),
    isHalted: Effect.fn("Presence.isHalted")(function* (id) {
      const agentId = yield* Effect.option(decodeAgent(id))
      if (Option.isNone(agentId)) return false
      const { path } = yield* pathOf(agentId.value)
      return yield* halts.check(agentId.value, path, "is_halted").pipe(
        Effect.as(false),
        Effect.catchTag("AgentHaltedError", () => Effect.succeed(true)),
        Effect.catchTag("StoreError", () => Effect.succeed(false))
      )
    }),
    assertNotHalted: Effect.fn("Presence.assertNotHalted")(function* (id) {
      const agentId = yield* decodeAgent(id)
      const { path } = yield* pathOf(agentId)
      yield* halts.check(agentId, path, "assert_not_halted")
    }),
    forceRefreshHaltedCache: Effect.ignore(halts.refresh),
    halt: Effect.fn("Presence.halt")(function* (id, { by, reason }) {
      const agentId = yield* decodeAgent(id)
      const haltedBy = yield* decodeOperator(by)
      const why = normaliseReason(reason)
      const { halt } = yield* act(agentId, "halt", store.halt({ agentId, haltedBy, reason: why }), (result) =>
        result.changed ? { kind: "agent.halted", agentId, metadata: { by: haltedBy, reason: why } } : undefined
      )
      return halt
    }),
    resume: Effect.fn("Presence.resume")(function* (id, { by, reason = "" }) {
      const agentId = yield* decodeAgent(id)
      const operator = yield* decodeOperator(by)
      const lifted = yield* act(agentId, "resume", store.resume(agentId), (halt) =>
        halt === null
          ? undefined
          : {
              kind: "agent.restored",
              agentId,
              metadata: { by: operator, reason: normaliseReason(reason), haltedBy: halt.haltedBy }
            }
      )
      return Option.fromNullOr(lifted)
    }),
    delegate: Effect.fn("Presence.delegate")(function* (parentId, childId) {
      return yield* lineages.delegate(yield* decodeAgent(parentId), yield* decodeAgent(childId))
    })
  })
})

export const layer = Layer.effect(Presence, make)

const disabled = Effect.die(new ModuleDisabledError({ module: "presence" }))

/** The halt switch is off with it, everywhere: nobody can stop an agent (ENT-08). Warned once; calls fail loudly. */
export const layerOff = Layer.effect(
  Presence,
  Effect.as(
    Effect.logWarning("presence.disabled", { effect: "the halt switch does not work in this process" }),
    Presence.of({
      heartbeat: () => disabled,
      markIdle: () => disabled,
      closeAgent: () => disabled,
      listAgents: disabled,
      checkStale: () => disabled,
      isHalted: () => disabled,
      assertNotHalted: () => disabled,
      forceRefreshHaltedCache: disabled,
      halt: () => disabled,
      resume: () => disabled,
      delegate: () => disabled
    })
  )
)

const decodeAgent = (value: string) => decodeArgument(AgentId, "agentId", value)
const decodeOperator = (value: string) => decodeArgument(OperatorId, "operatorId", value)

const decodeMetadata = (value: Record<string, unknown>) =>
  Effect.mapError(
    Effect.fromResult(snapshot(value)),
    (error) => new InvalidInput({ field: "metadata", problem: error.message })
  ).pipe(Effect.as(value))
