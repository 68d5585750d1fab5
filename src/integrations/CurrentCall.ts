import { AsyncLocalStorage } from "node:async_hooks"
import type { LiveCall } from "./LiveCall.ts"

/**
 * The governed call that the running code belongs to. A wrapper below another joins its call instead of opening one of its own,
 * so that nothing is counted twice (`integrations.md` 13).
 */
const storage = new AsyncLocalStorage<LiveCall>()

export const within = <A>(live: LiveCall, run: () => A): A => storage.run(live, () => live.enclose(run))

/** A tool that runs below a model call is a call of its own, and so are the model calls that it makes. */
export const outside = <A>(run: () => A): A => storage.exit(run)

/** None where the call is over already: what comes after it is a call of its own. */
export const current = (): LiveCall | undefined => {
  const live = storage.getStore()
  return live === undefined || live.isSettled ? undefined : live
}
