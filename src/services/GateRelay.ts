import { Context, Effect, Layer, type Scope } from "effect"
import type { ActionHash, Gate, GateRequestId } from "../schema/GateRequest.ts"
import type { StoreError } from "../schema/StoreError.ts"
import * as PlatformConnection from "./PlatformConnection.ts"
import { Settings } from "./Settings.ts"

/** What people have decided in an inbox elsewhere, as it says. */
export interface RemoteDecision {
  readonly decision: "granted" | "denied"
  /** The action that was shown to whoever decided. */
  readonly actionHash: ActionHash
  readonly by: string
}

/**
 * `applied`: now in the store, as a decision or as one vote of several. `overtaken`: the request was resolved here before.
 * `refused`: it does not hold by the rules that hold here.
 */
export type RemoteOutcome = "applied" | "overtaken" | "refused"

/** An inbox in another place, in which people may decide too. Nothing it does fails, and nobody waits for it. */
export interface RemoteInbox {
  /** A request that was just asked for, or asked for again. MUST return at once. */
  readonly asked: (gate: Gate) => Effect.Effect<void>
  /** Runs beside whoever waits for a request, and is interrupted with it; hands what it hears to `apply`. */
  readonly follow: (
    requestId: GateRequestId,
    apply: (decision: RemoteDecision) => Effect.Effect<RemoteOutcome, StoreError>
  ) => Effect.Effect<void>
}

/** Where such an inbox is attached (FWD-01). Without one, nothing of it is anywhere (FWD-10). */
export class GateRelay extends Context.Service<
  GateRelay,
  {
    /** Until the scope ends. */
    readonly attach: (inbox: RemoteInbox) => Effect.Effect<void, never, Scope.Scope>
    readonly asked: RemoteInbox["asked"]
    /** Never ends by itself. */
    readonly follow: (...args: Parameters<RemoteInbox["follow"]>) => Effect.Effect<never>
  }
>()("effect-governance/services/GateRelay") {}

export const make = Effect.gen(function* () {
  const { platform } = yield* Settings
  let inbox: RemoteInbox | null = null
  let attachedOnce = false
  /** What is wrong in the inbox is no business of whoever asks or waits. */
  const quiet = (self: Effect.Effect<void>) =>
    Effect.catchCause(self, (cause) => Effect.logDebug("platform.inbox_failed", cause))

  if (platform.bridgeEnabled && PlatformConnection.missing(platform) === null) {
    // Switched on and not part of the program: never a silence (BRG-04).
    const warn = Effect.suspend(() =>
      attachedOnce
        ? Effect.void
        : Effect.logWarning("platform.bridge_missing", { effect: "nothing is sent", todo: "provide Bridge.layer" })
    )
    yield* Effect.forkScoped(Effect.delay(warn, "10 seconds"))
  }

  return GateRelay.of({
    attach: (attached) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          inbox = attached
          attachedOnce = true
        }),
        () =>
          Effect.sync(() => {
            inbox = null
          })
      ),
    asked: (gate) => (inbox === null ? Effect.void : quiet(inbox.asked(gate))),
    follow: (requestId, apply) =>
      inbox === null ? Effect.never : Effect.andThen(quiet(inbox.follow(requestId, apply)), Effect.never)
  })
})

export const layer = Layer.effect(GateRelay, make)
