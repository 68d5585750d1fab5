import { Effect } from "effect"
import { Wrappers } from "../services/Wrappers.ts"
import type { Host } from "./Host.ts"

/** A wrapper governs one client more, of this version of its SDK where that is known (WRP-09). */
export const register = (host: Host, wrapper: string, sdkVersion?: string): void => {
  host.run(Wrappers.use((wrappers) => wrappers.register(wrapper, { sdkVersion })))
}

/** What is governed already stays as it is: a second wrapper would count everything twice (WRP-01). */
export const warnGoverned = (host: Host, wrapper: string, facts: { readonly [fact: string]: string } = {}): void => {
  host.run(Effect.logWarning("wrapper.already_governed", { wrapper, ...facts }))
}
