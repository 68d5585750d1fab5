import { AsyncLocalStorage } from "node:async_hooks"
import { Context, Fiber } from "effect"
import type { LiveCall } from "./LiveCall.ts"

/**
 * The governed call that the running code belongs to. A wrapper below another joins its call instead of opening one of its own,
 * so that nothing is counted twice (`integrations.md` 13).
 */
const storage = new AsyncLocalStorage<LiveCall>()

/**
 * The same for Effect, whose fibers are resumed from anywhere and carry their context themselves. Null: a tool, so no call of a
 * model, whatever it runs below; undefined: nothing is known of this fiber.
 */
export const FiberCall = Context.Reference<LiveCall | null | undefined>(
  "effect-governance/integrations/CurrentCall/FiberCall",
  { defaultValue: () => undefined }
)

/** Runs what belongs to a call: wrappers and governed fetches below join it, and coverage counts what they send (BEY-13). */
export const within = <A>(live: LiveCall, run: () => A): A => storage.run(live, () => live.enclose(run))

/** A tool that runs below a model call is a call of its own, and so are the model calls that it makes. */
export const outside = <A>(run: () => A): A => storage.exit(run)

/**
 * None where the call is over already: what comes after it is a call of its own. Nor is a call of another agent, which has a budget
 * and a halt of its own.
 */
export const current = (agentId?: string): LiveCall | undefined => {
  const ofFiber = Fiber.getCurrent()?.getRef(FiberCall)
  const live = ofFiber === undefined ? storage.getStore() : ofFiber
  if (live == null || live.isSettled) return undefined
  return agentId === undefined || live.agentId === agentId ? live : undefined
}
