import { Context, Effect, Layer } from "effect"
import type { WrapperRegistration } from "../schema/Coverage.ts"
import { Settings } from "./Settings.ts"

/** Which clients of language models are governed in this process. A wrapper registers itself when it is made. */
export class Wrappers extends Context.Service<
  Wrappers,
  {
    /** A client was wrapped by `openai`, `anthropic`, `ai` and so on; with the version of its SDK where that is known (WRP-09). */
    readonly register: (
      name: string,
      options?: { readonly sdkVersion?: string | null | undefined }
    ) => Effect.Effect<void>
    readonly registered: () => ReadonlySet<string>
    /** By name and version, with the number of clients: what the registry of coverage shows (COV-01). */
    readonly registrations: () => ReadonlyArray<WrapperRegistration>
  }
>()("effect-governance/services/Wrappers") {}

/** Without a wrapper calls to language models are not covered, and nothing but this warning says so (ENT-11). */
export const make = Effect.gen(function* () {
  const settings = yield* Settings
  const names = new Set<string>()
  const wrapped = new Map<string, WrapperRegistration>()
  if (settings.warnOnNoWrappers) {
    // Wrappers are made from the layers above this one, so they come a little later than the start.
    yield* Effect.forkScoped(
      Effect.delay(
        Effect.suspend(() => (names.size === 0 ? warning : Effect.void)),
        "2 seconds"
      )
    )
  }
  return Wrappers.of({
    register: (name, { sdkVersion = null } = {}) =>
      Effect.sync(() => {
        names.add(name)
        const key = JSON.stringify([name, sdkVersion])
        wrapped.set(key, { name, sdkVersion, clients: (wrapped.get(key)?.clients ?? 0) + 1 })
      }),
    registered: () => names,
    registrations: () => [...wrapped.values()]
  })
})

export const layer = Layer.effect(Wrappers, make)

const warning = Effect.logWarning("no_wrappers", {
  effect: "calls to language models are governed only where the program says so itself",
  silence: "warnOnNoWrappers: false"
})
