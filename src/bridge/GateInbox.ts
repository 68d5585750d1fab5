import { Clock, Effect, Fiber, Option, Random, Schema, Semaphore, Stream } from "effect"
import { GateForward, GateResolution, LocalResolution, type Routes } from "../schema/BridgeWire.ts"
import type { Gate, GateRequestId, GateState } from "../schema/GateRequest.ts"
import { AgentId } from "../schema/Ids.ts"
import { isoOf } from "../schema/Instant.ts"
import { standard } from "../schema/Redaction.ts"
import { sdkVersion } from "../schema/SdkVersion.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { askedOf } from "../services/Deadline.ts"
import { GateRelay, type RemoteInbox, type RemoteOutcome } from "../services/GateRelay.ts"
import { GateStore } from "../services/GateStore.ts"
import { Settings } from "../services/Settings.ts"
import { Signal } from "../services/Signal.ts"
import type { Counters } from "./Counters.ts"
import type { Latch } from "./Latch.ts"
import { pollDelayMs } from "./Polling.ts"
import type { Transport } from "./Transport.ts"

/** A request that this process has forwarded. `acknowledged`: the platform has it, so it may be asked and told about it. */
interface Forwarded {
  readonly expiresAtMs: number
  state: "forwarding" | "acknowledged" | "failed"
  /** The platform knows of the decision, because it was made there. */
  decidedThere: boolean
  /** Whoever asks the platform for all in this process that wait. */
  asker: symbol | null
}

/** Requests for approval in the platform's inbox as well: forwarded once, asked for while somebody waits, told how they ended here (section 23). */
export const attach = Effect.fnUntraced(function* (
  transport: Transport,
  routes: Routes,
  latch: Latch,
  counters: Counters
) {
  const relay = yield* GateRelay
  const store = yield* GateStore
  const signal = yield* Signal
  const { enforcementDeadline } = yield* Settings
  const scope = yield* Effect.scope
  const stored = askedOf("GateStore", enforcementDeadline)
  const places = Semaphore.makeUnsafe(maxAtOnce)
  const known = new Map<GateRequestId, Forwarded>()
  let busy = 0

  /** In a place of the 100, or waiting for one; null: too many wait, and nothing is done. */
  const placed = <A>(self: Effect.Effect<A>, onQueued: () => void): Effect.Effect<A | null> =>
    Effect.suspend(() => {
      if (busy >= maxAtOnce + maxWaiting) return Effect.succeed(null)
      if (busy >= maxAtOnce) onQueued()
      busy++
      return Effect.ensuring(
        places.withPermit(self),
        Effect.sync(() => busy--)
      )
    })

  const forward = Effect.fnUntraced(function* (gate: Gate, entry: Forwarded) {
    const answer = yield* placed(transport.post(routes.gates, forwardText(gate)), () => counters.gateForwardsQueued++)
    const taken = answer?._tag === "Taken"
    entry.state = taken ? "acknowledged" : "failed"
    if (taken) counters.gateForwardsSent++
    else counters.gateForwardsDropped++
    if (answer?._tag === "Rejected") yield* Effect.logWarning("platform.gate_rejected", { status: answer.status })
  })

  // Once in a process, whatever becomes of it (OQ-30).
  const asked: RemoteInbox["asked"] = (gate) =>
    Effect.suspend(() => {
      if (known.has(gate.requestId)) return Effect.void
      if (known.size >= maxKnown) {
        counters.gateForwardsDropped++
        return Effect.void
      }
      const entry: Forwarded = {
        expiresAtMs: gate.expiresAtMs,
        state: "forwarding",
        decidedThere: false,
        asker: null
      }
      known.set(gate.requestId, entry)
      return Effect.asVoid(Effect.forkIn(quietly(forward(gate, entry)), scope))
    })

  /** One question. `over`: nothing more will come of asking. */
  const poll = Effect.fnUntraced(function* (
    requestId: GateRequestId,
    entry: Forwarded,
    apply: Parameters<RemoteInbox["follow"]>[1]
  ) {
    counters.polls++
    const answer = yield* transport.get(routes.resolution(requestId))
    if (answer._tag === "Disabled") return "over"
    const said = answer._tag === "Taken" ? Option.getOrUndefined(decodeResolution(answer.body)) : undefined
    if (said === undefined) return "error"
    const { action_hash: actionHash, decided_by: decidedBy, status } = said
    if (status === "pending") return "pending"
    if (status === "expired") return "over"
    if (actionHash === undefined) return yield* dropped(requestId, status)
    const decision = { decision: status, actionHash, by: decidedBy ?? "somebody" } as const
    // Whoever waits is gone as soon as the decision is there; what has begun is ended and counted without them.
    return yield* Fiber.join(yield* Effect.forkIn(applied(requestId, entry, apply(decision)), scope))
  })

  const applied = Effect.fnUntraced(function* (
    requestId: GateRequestId,
    entry: Forwarded,
    applying: Effect.Effect<RemoteOutcome, StoreError>
  ) {
    entry.decidedThere = true
    const outcome = yield* Effect.orElseSucceed(applying, () => "unknown" as const)
    entry.decidedThere = outcome === "applied"
    if (outcome === "unknown") return "pending"
    if (outcome === "applied") counters.remoteDecisionsApplied++
    return outcome === "refused" ? yield* dropped(requestId, "refused") : "over"
  })

  const dropped = Effect.fnUntraced(function* (request: GateRequestId, status: string) {
    counters.remoteDecisionsDropped++
    yield* Effect.logWarning("platform.decision_dropped", { request, status })
    return "over" as const
  })

  const follow: RemoteInbox["follow"] = (requestId, apply) => {
    const me = Symbol()
    const entry = known.get(requestId)
    if (entry === undefined) return Effect.void
    const asking = Effect.gen(function* () {
      let errors = 0
      for (;;) {
        yield* Effect.sleep(pollDelayMs(errors, yield* Random.next))
        entry.asker ??= me
        if (entry.state === "failed") return
        if (entry.state === "forwarding" || entry.asker !== me) continue
        const found = yield* poll(requestId, entry, apply)
        if (found === "over") return
        if (found === "error") counters.pollErrors++
        errors = found === "error" ? errors + 1 : 0
      }
    })
    return Effect.ensuring(
      asking,
      Effect.sync(() => {
        if (entry.asker === me) entry.asker = null
      })
    )
  }

  const told = Effect.fnUntraced(function* (requestId: GateRequestId, state: "granted" | "denied") {
    const view = yield* Effect.option(stored("read", store.read(requestId)))
    const nowMs = yield* Clock.currentTimeMillis
    const atMs = Option.getOrNull(view)?.gate.decidedAtMs ?? nowMs
    const text = encodeLocal({ status: state, resolved_at: isoOf(atMs) })
    const answer = yield* placed(transport.post(routes.resolution(requestId), text), () => {})
    if (answer?._tag === "Taken") counters.localResolutionsSent++
    else counters.localResolutionsDropped++
  })

  /** Looks what has become of a request here, and tells the platform once, unless it was decided there (FWD-08). */
  const look = Effect.fnUntraced(function* (requestId: GateRequestId, entry: Forwarded) {
    if (entry.state !== "acknowledged") return
    const state = yield* Effect.option(stored("stateOf", store.stateOf(requestId)))
    if (Option.isNone(state) || state.value === "pending" || !known.delete(requestId)) return
    const here = state.value === null ? undefined : resolvedAs[state.value]
    if (here !== undefined && !entry.decidedThere) yield* Effect.forkIn(quietly(told(requestId, here)), scope)
  })

  const lookAtAll = Effect.gen(function* () {
    const nowMs = yield* Clock.currentTimeMillis
    for (const [requestId, entry] of known) {
      if (entry.state === "acknowledged") yield* look(requestId, entry)
      // By then the platform knows as well that nobody may decide it any more.
      if (entry.expiresAtMs + keptMs < nowMs) known.delete(requestId)
    }
  })

  const heard = (payload: string) =>
    Effect.suspend(() => {
      if (payload === "resync") return lookAtAll
      const found = [...known].find(([requestId]) => requestId === payload)
      return found === undefined ? Effect.void : look(...found)
    })

  yield* relay.attach({
    asked: (gate) =>
      Effect.flatMap(latch.isSet, (latched) =>
        latched ? Effect.sync(() => counters.gateForwardsDropped++) : asked(gate)
      ),
    follow
  })
  yield* Effect.forkScoped(quietly(Stream.runForEach(signal.changes("gates"), (payload) => quietly(heard(payload)))))
  yield* Effect.forkScoped(Effect.forever(Effect.delay(quietly(lookAtAll), sweepEvery)))
})

/** FWD-09. */
const maxAtOnce = 100
const maxWaiting = 1_000
const maxKnown = 10_000
const keptMs = 60_000
const sweepEvery = "30 seconds"

/** Exactly the six fields of the schema: it drops whatever else there may be (FWD-02). The kind is a caller's text. */
const forwardText = (gate: Gate): string =>
  encodeForward({
    request_id: gate.requestId,
    agent_id: AgentId.make(standard.text(gate.agentId).slice(0, 256)),
    kind: standard.text(gate.kind).slice(0, 512),
    action_hash: gate.actionHash,
    expires_at: isoOf(gate.expiresAtMs),
    sdk_version: sdkVersion
  })

const encodeForward = Schema.encodeSync(Schema.fromJsonString(GateForward))
const encodeLocal = Schema.encodeSync(Schema.fromJsonString(LocalResolution))
const decodeResolution = Schema.decodeUnknownOption(Schema.fromJsonString(GateResolution))

const resolvedAs: Partial<Record<GateState, "granted" | "denied">> = {
  granted: "granted",
  consumed: "granted",
  denied: "denied"
}

/** Nothing that goes wrong here is the host's business. */
const quietly = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> =>
  Effect.catchCause(Effect.asVoid(self), (cause) => Effect.logDebug("platform.inbox_failed", cause))
