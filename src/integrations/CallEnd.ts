import { DeclaredMaximumExceeded } from "../schema/WrappedCallError.ts"
import type { LiveCall } from "./LiveCall.ts"
import { record } from "./Reading.ts"

/** What a caller is told of a call that failed: the halt itself, not what an SDK makes of the request that the halt cut. */
export const toldOf = (live: LiveCall, error: unknown): unknown => (live.signal.aborted ? live.signal.reason : error)

/**
 * Settles a call whose request failed, and gives what its caller is told. It costs nothing where the provider refused it or never
 * saw it, unless some of an answer was seen.
 */
export const failed = async (live: LiveCall, error: unknown): Promise<unknown> => {
  const told = toldOf(live, error)
  const isFree = live.meter.best === undefined && (isRefused(error) || neverSent(error))
  await live.settle({ _tag: isFree ? "Released" : "Broken", error: told })
  return told
}

/** The same for a call whose answer has begun, or of which nobody knows what was done: no error makes it free. */
export const broken = async (live: LiveCall, error: unknown): Promise<unknown> => {
  const told = toldOf(live, error)
  await live.settle({ _tag: "Broken", error: told })
  return told
}

/** Cuts an answer that goes beyond what was declared, and so beyond what was held (BEY-07). Rejects with `DeclaredMaximumExceeded`. */
export const keepToMaximum = async (live: LiveCall): Promise<void> => {
  const { agentId, meter } = live
  if (!meter.isOver || live.isSettled) return
  const error = new DeclaredMaximumExceeded({ agentId, model: meter.model, maxTokens: meter.maxTokens ?? 0 })
  await live.settle({ _tag: "Cut", error })
  throw error
}

/** The connection was never made, so the provider has seen nothing. */
export const neverSent = (error: unknown): boolean =>
  hasCause(error, ({ code }) => typeof code === "string" && unconnected.has(code))

const isRefused = (error: unknown): boolean =>
  hasCause(error, ({ status, statusCode }) => isRefusal(status) || isRefusal(statusCode))

const isRefusal = (status: unknown) => typeof status === "number" && status >= 400

/** SDKs wrap what `fetch` threw, and frameworks what SDKs threw; `effect/ai` calls it a reason. */
const hasCause = (error: unknown, is: (one: ReturnType<typeof record>) => boolean): boolean => {
  let current = error
  for (let depth = 0; depth < 8 && typeof current === "object" && current !== null; depth++) {
    const one = record(current)
    if (is(one)) return true
    current = one.cause ?? one.reason
  }
  return false
}

const unconnected: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"])
