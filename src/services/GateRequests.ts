import { Context, Duration, Effect, Latch, Layer, Option, Random, Result, Stream } from "effect"
import type { ActionPayload } from "../schema/ActionHash.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import { escape } from "../schema/Escape.ts"
import { demandOf } from "../schema/GateDemand.ts"
import { eventOfGate, type Gate, GateRequestId, type GateState } from "../schema/GateRequest.ts"
import { type AgentId, EventId, type SessionId } from "../schema/Ids.ts"
import { isoOf } from "../schema/Instant.ts"
import type { AgentHaltedError, Lineage } from "../schema/Presence.ts"
import { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import { askedOf } from "./Deadline.ts"
import { deploymentOf } from "./Deployment.ts"
import { GateDecisions } from "./GateDecisions.ts"
import * as GateKeys from "./GateKeys.ts"
import { GateRelay } from "./GateRelay.ts"
import { applying } from "./GateRemote.ts"
import { type GateOpened, GateStore, type GateView } from "./GateStore.ts"
import { demandNow, type Standing, standingOf } from "./GateVerdict.ts"
import { Halts, haltedError } from "./Halts.ts"
import { Policies } from "./Policies.ts"
import { Settings } from "./Settings.ts"
import { Signal } from "./Signal.ts"
import { StoreTransaction } from "./StoreTransaction.ts"
import { SubjectKeys } from "./SubjectKeys.ts"

/** An action that a person is to decide about. */
export interface Wish {
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  readonly lineage: Lineage
  readonly kind: string
  readonly payload: ActionPayload
  readonly callKey: string | undefined
}

/** The life of a request on the agent's side: asked for, waited for, judged. Holds nothing while it waits. */
export class GateRequests extends Context.Service<
  GateRequests,
  {
    /** Finds the agent's request for that action, or makes it together with its audit row. */
    readonly ask: (wish: Wish) => Effect.Effect<GateOpened, StoreError>
    readonly matchKeyOf: (wish: Wish) => string
    /**
     * Ends when the request is decided, by whatever process, or is over. A signal is only a hint: the store is asked every
     * 500 ms or so. A store that does not answer is waited for (section 39); a halt ends it (OQ-31).
     */
    readonly decided: (
      requestId: GateRequestId,
      who: { readonly agentId: AgentId; readonly path: ReadonlyArray<AgentId> }
    ) => Effect.Effect<Exclude<GateState, "pending">, AgentHaltedError>
    readonly read: (requestId: GateRequestId) => Effect.Effect<GateView | null, StoreError>
    /** What the grant of a request is worth now. */
    readonly judge: (view: GateView) => Effect.Effect<Standing, StoreError>
    /** Ends a request by time, or early with `withdrawn`, with its audit row. */
    readonly end: (gate: Gate, why: "expired" | "withdrawn") => Effect.Effect<void, StoreError>
    /** Ends what nobody has decided in its time, at most 1000 of them. Returns how many. */
    readonly endOverdue: Effect.Effect<number, StoreError>
    readonly tokenOf: (gate: Gate) => Effect.Effect<string | undefined, StoreError>
    readonly keys: GateKeys.GateKeys
  }
>()("effect-governance/services/GateRequests") {}

export const make = Effect.gen(function* () {
  const store = yield* GateStore
  const transaction = yield* StoreTransaction
  const audit = yield* Audit
  const signal = yield* Signal
  const policies = yield* Policies
  const halts = yield* Halts
  const settings = yield* Settings
  const subjects = yield* SubjectKeys
  const keys = yield* GateKeys.make
  const relay = yield* GateRelay
  const decisions = yield* GateDecisions
  const services = yield* Effect.scope
  const asked = askedOf("GateStore", settings.enforcementDeadline)
  const acted = askedOf("GateStore", Duration.times(settings.enforcementDeadline, 5))
  const where = asked("deploymentId", deploymentOf(settings, store))

  const waiters = new Map<GateRequestId, Set<Latch.Latch>>()
  const wake = (payload: string) => {
    const nudged =
      payload === "resync" ? [...waiters.values()] : [...waiters].filter(([id]) => id === payload).map(([, w]) => w)
    for (const latches of nudged) for (const latch of latches) latch.openUnsafe()
  }
  // One subscription for all that wait, begun by the first of them.
  const listening = yield* Effect.cached(
    Effect.forkIn(
      Stream.runForEach(signal.changes("gates"), (payload) => Effect.sync(() => wake(payload))),
      services
    )
  )

  const matchKeyOf = ({ agentId, callKey, kind, payload, sessionId }: Wish) => {
    const action = keys.actionHash(kind, agentId, payload.bound)
    return keys.hashHex(`${callKey === undefined ? `session\n${sessionId ?? ""}` : `call\n${callKey}`}\n${action}`)
  }

  /** The arguments as they are kept: what is marked is sealed for this request alone (BEY-12). */
  const sealedFor = (requestId: GateRequestId, { marked, stored }: ActionPayload) =>
    marked === null
      ? Effect.succeed(stored)
      : Effect.map(subjects.sealFor(EventId.make(requestId), marked), (seal) => canonicalize(escape(marked, seal)))

  const demandFor = ({ kind, lineage }: Wish) =>
    demandOf(
      lineage.path.flatMap((agent) => policies.get(agent, "gate")?.policy ?? []),
      kind
    )

  const open = Effect.fnUntraced(function* (wish: Wish) {
    const { agentId, kind, lineage, payload, sessionId } = wish
    // Who may decide is read from the store when it comes to that: it MUST be there.
    yield* policies.stored(lineage.path)
    const demand = demandFor(wish)
    const requestId = GateRequestId.make(crypto.randomUUID())
    const opening = {
      ...{ requestId, root: lineage.root, agentId, sessionId, kind, maxPending },
      actionHash: keys.actionHash(kind, agentId, payload.bound),
      payload: yield* sealedFor(requestId, payload),
      keyId: keys.currentKey(),
      quorum: demand.quorum,
      expiresAfterMs: demand.expiresAfterSeconds * 1000,
      matchKey: matchKeyOf(wish)
    }
    return yield* transaction.run(
      Effect.tap(store.open(opening), (result) =>
        result._tag === "Opened" ? record(result.gate, "requested", { approvals: demand.quorum }) : Effect.void
      )
    )
  })

  /** Nothing about a request that is decided here alone goes to an inbox elsewhere. */
  const tell = (gate: Gate, wish: Wish) =>
    gate.state === "pending" && demandFor(wish).approvals === "platform" ? relay.asked(gate) : Effect.void

  const ask = (wish: Wish) =>
    Effect.tap(asked("open", open(wish)), (opened) => {
      if (opened._tag === "Full") return Effect.void
      const told = tell(opened.gate, wish)
      return opened._tag === "Opened" ? Effect.andThen(signal.publish("gates", opened.gate.requestId), told) : told
    })

  const record = (gate: Gate, role: "requested" | "expired", facts: Record<string, unknown>) =>
    audit
      .requireInTransaction({
        kind: `approval.${role}`,
        id: eventOfGate(gate.requestId, role),
        agentId: gate.agentId,
        sessionId: gate.sessionId ?? undefined,
        ...(role === "requested" ? {} : { parentEventId: eventOfGate(gate.requestId, "requested") }),
        metadata: {
          request: gate.requestId,
          action: gate.kind,
          actionHash: gate.actionHash,
          expiresAt: isoOf(gate.expiresAtMs),
          ...(gate.earlier === null ? {} : { earlier: gate.earlier }),
          ...facts
        }
      })
      .pipe(
        Effect.catchTag(["InvalidAuditEvent", "EventIdConflict"], (error) =>
          Effect.fail(StoreError.because({ store: "AuditStore", operation: "require", problem: "integrity" }, error))
        )
      )

  const decided: GateRequests["Service"]["decided"] = (requestId, { agentId, path }) => {
    const halted = Effect.callback<never, AgentHaltedError>((resume) =>
      Effect.sync(halts.watch(path, (halt) => resume(Effect.fail(haltedError(agentId, halt, "waiting for approval")))))
    )
    const polled = Effect.acquireUseRelease(
      Effect.sync(() => {
        const latch = Latch.makeUnsafe()
        const latches = waiters.get(requestId) ?? new Set()
        waiters.set(requestId, latches.add(latch))
        return latch
      }),
      Effect.fnUntraced(function* (latch) {
        for (;;) {
          latch.closeUnsafe()
          const state = yield* Effect.option(asked("stateOf", store.stateOf(requestId)))
          if (Option.isSome(state) && state.value !== "pending") return state.value ?? "expired"
          const pause = yield* Random.nextIntBetween(400, 600)
          yield* Effect.raceFirst(latch.await, Effect.sleep(pause))
        }
      }),
      (latch) =>
        Effect.sync(() => {
          const latches = waiters.get(requestId)
          latches?.delete(latch)
          if (latches?.size === 0) waiters.delete(requestId)
        })
    )
    const elsewhere = relay.follow(requestId, (decision) => apply(requestId, decision))
    return Effect.andThen(listening, Effect.raceFirst(Effect.raceFirst(polled, halted), elsewhere))
  }

  const end: GateRequests["Service"]["end"] = (gate, why) =>
    acted(
      "expire",
      transaction.run(
        Effect.tap(store.expire(gate.root, gate.requestId, why === "withdrawn"), (ended) =>
          ended ? record(gate, "expired", { why }) : Effect.void
        )
      )
    ).pipe(Effect.asVoid)

  const read: GateRequests["Service"]["read"] = (requestId) => asked("read", store.read(requestId))
  const tokenOf: GateRequests["Service"]["tokenOf"] = (gate) =>
    Effect.map(where, (deployment) => keys.tokenOf(gate, deployment))
  const apply = applying({ read, tokenOf }, decisions)

  return GateRequests.of({
    ask,
    matchKeyOf,
    decided,
    read,
    judge: Effect.fnUntraced(function* (view) {
      const demand = demandNow(view)
      if (Result.isFailure(demand)) return yield* demand.failure
      return standingOf(keys, yield* where, view, demand.success)
    }),
    end,
    endOverdue: Effect.gen(function* () {
      const overdue = yield* acted("overdue", store.overdue(1000))
      for (const gate of overdue) yield* Effect.catchIf(end(gate, "expired"), isBroken, () => broken(gate))
      return overdue.length
    }),
    tokenOf,
    keys
  })
})

export const layer = Layer.effect(GateRequests, make)

/** More of an agent's requests than that do not wait for a person at once (T-12). */
const maxPending = 100

/** A request whose row cannot be written MUST NOT keep the others from their end. */
const isBroken = ({ problem }: StoreError) => problem === "integrity"
const broken = ({ requestId }: Gate) => Effect.logError("gates.request_broken", { request: requestId })
