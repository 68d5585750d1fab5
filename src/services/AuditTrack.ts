import { Cause, Effect, Exit, Result } from "effect"
import { Hex } from "effect/encoding"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import type { Digest } from "../schema/Chain.ts"
import { escape } from "../schema/Escape.ts"
import { snapshot } from "../schema/Json.ts"
import type { Audit } from "./Audit.ts"

/** Logs around an effect and changes nothing about it: what cannot be logged or hashed is left out (AUD-09). */
export const make = (log: Audit["Service"]["log"], hash: Digest): Audit["Service"]["track"] => {
  const hashOf = (value: unknown) =>
    Result.match(snapshot(value), {
      onFailure: () => undefined,
      onSuccess: (taken) => Hex.encode(hash(canonicalize(escape(taken))))
    })

  return (kind, agentId, trackOptions = {}) => {
    const base = { agentId, sessionId: trackOptions.sessionId }
    const observe = (event: AuditEventInput) => Effect.orElseSucceed(log(event), () => null)
    return (self) =>
      Effect.flatMap(observe({ ...base, kind: `${kind}.start`, inputHash: hashOf(trackOptions.input) }), (start) =>
        Effect.onExit(self, (exit) =>
          observe({
            ...base,
            parentEventId: start?.id,
            ...(Exit.isSuccess(exit)
              ? { kind: `${kind}.end`, outputHash: hashOf(exit.value) }
              : { kind: `${kind}.error`, metadata: { error: errorName(exit.cause) } })
          })
        )
      )
  }
}

const errorName = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (Cause.hasInterruptsOnly(cause)) return "interrupted"
  if (typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string")
    return error._tag
  return error instanceof Error ? error.name : typeof error
}
