import { Effect } from "effect"
import { AiError } from "effect/ai"
import { isGovernanceError, isHaltError } from "../schema/GovernanceError.ts"
import type { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import type { Refusal } from "../schema/Refusal.ts"
import type { DeclaredMaximumExceeded } from "../schema/WrappedCallError.ts"

/** What governance says no with, where a language model or a tool of `effect/ai` is used. */
export type AiRefusal = Refusal | ModuleDisabledError | DeclaredMaximumExceeded

/**
 * `effect/ai` knows one error only, so a refusal travels as the `cause` of its reason: `isGovernanceError` and `isHaltError` find
 * it, `refusals` gives it back. Never retryable.
 */
export const aiError = (module: string, method: string, error: unknown): AiError.AiError => {
  if (AiError.isAiError(error)) return error
  const reason = new AiError.InvalidRequestError({
    description: error instanceof Error ? error.message : "refused by governance",
    metadata: { governance: { error: tagOf(error), request: requestOf(error) } }
  })
  // Not a field of the reason, so it stays in the process: what a model or a log is told is the description.
  Object.defineProperty(reason, "cause", { value: error, enumerable: false, configurable: true })
  return AiError.make({ module, method, reason })
}

/** Turns the refusals in an effect's `AiError`s into the typed errors that they are; every other error stays. */
export const refusals = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | AiRefusal, R> =>
  Effect.mapError(self, (error) => refusalIn(error) ?? error)

/** The refusal in an error of `effect/ai`, if it holds one. */
export const refusalIn = (error: unknown): AiRefusal | undefined => {
  let current = error
  for (let depth = 0; depth < 16 && typeof current === "object" && current !== null; depth++) {
    if (isRefusal(current)) return current
    current = "cause" in current ? current.cause : undefined
  }
  return undefined
}

/** One of this library's errors itself, not one that has it as its cause. */
export const isRefusal = (error: unknown): error is AiRefusal => {
  const bare = { _tag: tagOf(error) }
  return isGovernanceError(bare) || isHaltError(bare)
}

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "unknown"

const requestOf = (error: unknown): string | null =>
  typeof error === "object" && error !== null && "requestId" in error && typeof error.requestId === "string"
    ? error.requestId
    : null
