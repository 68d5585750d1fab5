import { Context, type Effect, type Stream } from "effect"

export type Topic = "halts" | "gates" | "policies" | "subjects" | "keys"

/**
 * Makes changes known fast, to this process and to others. A hint, never the truth: it may be lost or come twice, so whoever
 * listens also polls. Every (re)subscription begins with one `resync` payload.
 */
export class Signal extends Context.Service<
  Signal,
  {
    readonly changes: (topic: Topic) => Stream.Stream<string>
    /** Never fails; call it after the commit. */
    readonly publish: (topic: Topic, payload: string) => Effect.Effect<void>
  }
>()("effect-governance/services/Signal") {}
