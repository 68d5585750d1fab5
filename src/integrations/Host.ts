import { Cause, Effect, type Fiber } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { AgentScope } from "../services/AgentScope.ts"
import type { Audit } from "../services/Audit.ts"
import type { Cost } from "../services/Cost.ts"
import type { Coverage } from "../services/Coverage.ts"
import type { Gates } from "../services/Gates.ts"
import type { Governor } from "../services/Governor.ts"
import type { Presence } from "../services/Presence.ts"
import type { Routing } from "../services/Routing.ts"
import type { Settings } from "../services/Settings.ts"
import type { Wrappers } from "../services/Wrappers.ts"

/** What the wrappers of foreign clients need. Every layer of stores provides it. */
export type HostServices =
  | Governor
  | Gates
  | Audit
  | Cost
  | AgentScope
  | Presence
  | Routing
  | Coverage
  | Settings
  | Wrappers

/** Where code outside Effect finds governance. The Promise facade is one; `Host.make` makes one of the services at hand. */
export interface Host {
  readonly run: <A, E>(effect: Effect.Effect<A, E, HostServices>) => Fiber.Fiber<A, E>
}

/** The governance that a program of Effect runs with, for code outside Effect. */
export const make: Effect.Effect<Host, never, HostServices> = Effect.map(
  Effect.context<HostServices>(),
  (context): Host => ({ run: Effect.runForkWith(context) })
)

/** A wrapper that takes a host, for a program that has the services: the `ConfigurationError` that it throws is a failure there. */
export const using = <A>(wrap: (governance: Host) => A): Effect.Effect<A, ConfigurationError, HostServices> =>
  Effect.map(make, wrap).pipe(
    Effect.catchDefect((defect) => (defect instanceof ConfigurationError ? Effect.fail(defect) : Effect.die(defect)))
  )

/** An effect as a promise that rejects with the very error; `signal` interrupts it. */
export const promise = <A, E>(host: Host, effect: Effect.Effect<A, E, HostServices>, signal?: AbortSignal | null) =>
  new Promise<A>((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    const fiber = host.run(effect)
    const abort = () => fiber.interruptUnsafe()
    signal?.addEventListener("abort", abort, { once: true })
    fiber.addObserver((exit) => {
      signal?.removeEventListener("abort", abort)
      if (exit._tag === "Success") resolve(exit.value)
      else
        reject(
          signal?.aborted === true && Cause.hasInterruptsOnly(exit.cause) ? signal.reason : Cause.squash(exit.cause)
        )
    })
  })
